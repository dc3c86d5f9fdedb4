-- Raises RW001 for a queue that is not there, with those that are.
create or replace function rowlock.refuse_queue(p_name text) returns void
language plpgsql stable set search_path = rowlock, pg_catalog, pg_temp as $$
begin
  raise exception 'work queue "%" is not known to the ledger of this database', coalesce(left(p_name, 300), 'null')
    using errcode = 'RW001', hint = 'Names are namespace/name. Known here: ' ||
      rowlock.some(array(select q.name from rowlock.queue q where not q.expected order by q.name limit 21)) ||
      '. Create the WorkQueue, or look at its condition Ready; '
        'enqueue_v1 with p_wait_for_queue => true has the run wait for it.';
end $$;
revoke all on function rowlock.refuse_queue from public;
