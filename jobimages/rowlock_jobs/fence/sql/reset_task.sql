-- reset_task: between two runs, everything that a session can hold for the next one. DISCARD ALL without its DISCARD PLANS (they pass nothing on, and
-- planning the finish anew costs more than all of this), in a form that may stand inside a transaction.
close all;
set session authorization default;
reset role;
reset all;
deallocate all;
unlisten *;
select pg_catalog.pg_advisory_unlock_all();
discard temp;
discard sequences;
select pg_catalog.setseed(pg_catalog.hashtext(pg_catalog.gen_random_uuid()::text) / 2147483648.0);
