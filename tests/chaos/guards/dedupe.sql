-- A row may become two runs: the second gets a key of its own, so that no unique index stops it, and what was taken is not remembered as taken.
alter table rowlock.seen drop constraint seen_pkey;
create function rowlock.no_dedupe() returns trigger language plpgsql as $$
begin
  if exists (select from rowlock.active a where a.source_id = new.source_id and a.source_key = new.source_key) then
    new.source_key := new.source_key || '#' || new.id;
  end if;
  return new;
end $$;
create trigger no_dedupe before insert on rowlock.active for each row execute function rowlock.no_dedupe();
