-- enqueue: null where an active run of this queue has the key.
select rowlock.enqueue_v1(p_queue => %(queue)s, p_task => %(task)s, p_args => %(args)s::jsonb, p_key => %(key)s, p_priority => %(priority)s,
  p_wait_for_queue => %(wait_for_queue)s)::text
