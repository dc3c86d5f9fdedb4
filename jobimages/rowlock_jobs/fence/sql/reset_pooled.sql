-- reset_pooled: the same for a server session that a pooler lends to one transaction after the other, at its begin and
-- at its end. Prepared statements stay: they are the pooler's own, which knows them by name. Its server session may
-- have begun in another encoding than ours.
close all;
set session authorization default;
reset role;
reset all;
set session client_encoding = 'UTF8';
unlisten *;
select pg_catalog.pg_advisory_unlock_all();
discard temp;
discard sequences;
