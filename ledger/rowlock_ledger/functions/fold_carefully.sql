-- fold after it failed: fewer events at a time, down to one, which is set aside where it cannot be taken in. Two
-- seconds at most; the rest is the next round's.
create or replace function rowlock.fold_carefully(p_max int, p_floor xid8) returns void
language plpgsql as $$
declare k int := p_max; v_n int; v_end timestamptz := clock_timestamp() + interval '2 s';
begin
  while clock_timestamp() < v_end loop                         -- the rest is the next round's
    begin
      v_n := rowlock.fold(k, p_floor);
      exit when v_n < k;
      k := least(p_max, k * 2);
    exception when others then
      if not rowlock.is_indigestible(sqlstate) then raise; end if;
      if k > 1 then k := greatest(1, k / 4); else perform rowlock.set_event_aside(p_floor, sqlerrm); end if;
    end;
  end loop;
end $$;
revoke all on function rowlock.fold_carefully from public;
