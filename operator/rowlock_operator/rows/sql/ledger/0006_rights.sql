-- Plans are pinned: a queue's statistics are wrong the moment after they were taken. Without jit=off the disabled
-- nodes' cost would start the JIT (24-38 ms a claim).
do $$
declare f regprocedure;
begin
  for f in select p.oid::regprocedure from pg_proc p join pg_namespace n on n.oid = p.pronamespace join pg_language l on l.oid = p.prolang
            where n.nspname = 'rowlock' and l.lanname = 'plpgsql' and p.proname not in ('partitions_v1', 'retain_v1', 'forget_v1', 'queue_id') loop
    execute format('alter function %s set jit = off', f);
    execute format('alter function %s set enable_seqscan = off', f);
    execute format('alter function %s set enable_hashjoin = off', f);
    execute format('alter function %s set enable_mergejoin = off', f);
    execute format('alter function %s set plan_cache_mode = force_generic_plan', f);
  end loop;
end $$;

-- Functions are EXECUTE for everybody when they are made. Two group roles get what the contract says, nothing else.
revoke all on all functions in schema rowlock from public;
revoke all on all tables in schema rowlock from public;
do $$
declare v_role text;
begin
  foreach v_role in array array['rowlock_worker', 'rowlock_client'] loop
    if not exists (select from pg_roles where rolname = v_role) then
      begin
        execute format('create role %I nologin', v_role);
      exception when insufficient_privilege then
        raise exception 'role % is missing and this login may not create roles', v_role
          using errcode = 'RW003', hint = format('Have an administrator run: CREATE ROLE %I NOLOGIN;', v_role);
      end;
    end if;
    execute format('grant usage on schema rowlock to %I', v_role);
  end loop;
end $$;
grant execute on function rowlock.hello_v1, rowlock.renew_v1, rowlock.goodbye_v1, rowlock.start_v1, rowlock.finish_v1, rowlock.cycle_v1, rowlock.begin_effect_v1, rowlock.end_effect_v1
  to rowlock_worker;
grant execute on function rowlock.enqueue_v1, rowlock.cancel_v1, rowlock.requeue_v1 to rowlock_client;
grant select on rowlock.run to rowlock_client;
