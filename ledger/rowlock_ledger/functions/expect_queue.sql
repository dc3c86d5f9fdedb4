-- The id of a queue that an enqueuer expects. Two who note the same name wait for each other, and not for long.
create or replace function rowlock.expect_queue(p_name text) returns int
language plpgsql set search_path = rowlock, pg_catalog, pg_temp
  set lock_timeout = '5s' as $$
declare v_id int;
begin
  if p_name is null or octet_length(p_name) > 400
    or p_name !~ '^[a-z0-9]([a-z0-9-]*[a-z0-9])?/[a-z0-9]([a-z0-9.-]*[a-z0-9])?$' then
    raise exception 'work queue "%" can never exist', coalesce(left(p_name, 300), 'null')
      using errcode = 'RW001',
        hint = 'Names are namespace/name, as Kubernetes has them: lower case letters, digits, dashes.';
  end if;
  insert into rowlock.queue(name, suspended, deleted, expected) values (p_name, true, true, true)
    on conflict (name) do nothing returning id into v_id;
  if v_id is null then select id into v_id from rowlock.queue where name = p_name; end if;
  return v_id;
exception when lock_not_available then
  raise exception 'work queue "%" is being noted by another transaction', p_name
    using errcode = 'RW001',
      hint = 'That transaction enqueued for the same unknown queue and has not ended. '
        'Try again, or create the WorkQueue.';
end $$;
revoke all on function rowlock.expect_queue from public;
