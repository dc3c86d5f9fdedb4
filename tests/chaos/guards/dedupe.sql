-- A row may become two runs: the second gets a key of its own, so that no unique index stops it; and what was taken is
-- remembered where the looks read it (a child of the table) but no unique index sees it.
create table rowlock.seen_by_many() inherits (rowlock.seen);
create function rowlock.remember_beside() returns trigger language plpgsql as $$
begin
  insert into rowlock.seen_by_many select new.*;
  delete from only rowlock.seen s where s.source_id = new.source_id and s.key = new.key;
  return null;
end $$;
create trigger remember_beside after insert on rowlock.seen for each row execute function rowlock.remember_beside();
create function rowlock.no_dedupe() returns trigger language plpgsql as $$
begin
  if exists (select from rowlock.active a where a.source_id = new.source_id and a.source_key = new.source_key) then
    new.source_key := new.source_key || '#' || new.id;
  end if;
  return new;
end $$;
create trigger no_dedupe before insert on rowlock.active for each row execute function rowlock.no_dedupe();
