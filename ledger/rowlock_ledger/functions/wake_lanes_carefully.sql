-- Each bucket for itself; one that cannot be reckoned with is looked at again in a minute.
create or replace function rowlock.wake_lanes_carefully(p_buckets int[]) returns int
language plpgsql as $$
declare v_bucket int; v_woken int := 0;
begin
  foreach v_bucket in array p_buckets loop
    begin
      v_woken := v_woken + rowlock.wake_lanes(array[v_bucket]);
    exception when others then
      if not rowlock.is_indigestible(sqlstate) then raise; end if;
      update rowlock.bucket set wake_at = clock_timestamp() + interval '1 min' where id = v_bucket;
    end;
  end loop;
  return v_woken;
end $$;
revoke all on function rowlock.wake_lanes_carefully from public;
