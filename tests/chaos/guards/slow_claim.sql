-- Not a guard: a claim takes longer between its picture of the table and its locks, as on a busy disk. Two dispatchers
-- then meet within seconds.
create function rowlock.slow_claim() returns trigger language plpgsql as $$ begin perform pg_sleep(0.05); return null; end $$;
create trigger slow_claim before insert on rowlock.active for each statement execute function rowlock.slow_claim();
