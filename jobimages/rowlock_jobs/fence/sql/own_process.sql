-- own_process: the server process behind a connection: a pooler's clients are told another one. Also: whether a
-- connection kept from an earlier run lives.
select pg_backend_pid()
