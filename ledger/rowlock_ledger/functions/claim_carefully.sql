-- The claim of one queue after it failed: fewer lanes, then one, mended; then one run, set aside.
create or replace function rowlock.claim_carefully(
    p_queue int, p_n int, p_state text
) returns table(id uuid, attempt int)
language plpgsql
  set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  v_lanes int := 50; v_left int := p_n; v_n int := p_n; v_k int; v_lane bigint; v_mended bigint; v_run uuid;
  v_end timestamptz := clock_timestamp() + interval '2 s';
begin
  while v_left > 0 and clock_timestamp() < v_end
    and exists (select from rowlock.lane l where l.queue_id = p_queue and l.blocked_by is null
      and l.at <= clock_timestamp()) loop
    begin
      return query select c.id, c.attempt from rowlock.claim(p_queue, least(v_n, v_left), p_state, v_lanes) c;
      get diagnostics v_k = row_count;
      v_left := v_left - v_k; v_lanes := least(50, v_lanes * 2); v_n := least(p_n, v_n * 2);
    exception when others then
      if not rowlock.is_indigestible(sqlstate) then raise; end if;
      if v_lanes > 1 then v_lanes := greatest(1, v_lanes / 4); continue; end if;
      select l.id into v_lane from rowlock.lane l where l.queue_id = p_queue and l.blocked_by is null
        and l.at <= clock_timestamp() order by l.priority desc, l.at limit 1;
      if v_lane is distinct from v_mended then
        perform rowlock.mend_lane(v_lane);
        v_mended := v_lane;
      elsif v_n > 1 then
        v_n := greatest(1, v_n / 4);
      else
        select a.id into v_run from rowlock.active a join rowlock.lane l on l.id = a.lane
         where a.lane = v_lane and a.due is not null and a.due >= l.floor and a.due <= clock_timestamp() order by a.due
           limit 1;
        if not found or not rowlock.set_aside(v_run, 'RunRefused',
          format('The claimer cannot hand this run out: %s.', rtrim(sqlerrm, '.'))) then
          update rowlock.lane l set at = null where l.id = v_lane;      -- asleep, until relane_v1 looks again
        end if;
      end if;
    end;
  end loop;
end $$;
revoke all on function rowlock.claim_carefully from public;
