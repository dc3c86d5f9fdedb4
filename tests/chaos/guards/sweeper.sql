-- Nobody takes back what a lost worker or a forgetful Redis held.
create or replace function rowlock.sweep_v1(p_max int default 1000, p_slow bool default false) returns int language sql as $$ select 0 $$;
create or replace function rowlock.unqueue_v1(p_ids uuid[], p_attempts int[]) returns int language sql as $$ select 0 $$;
