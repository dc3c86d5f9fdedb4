-- source_figures: every RowSource with what the ledger took from it, within the history of its queue; those that are
-- gone, or whose WorkQueue is, while anything is left.
select s.name as source, q.name as queue, s.spec->>'table' as source_table, s.spec->>'task' as task,
       coalesce(a.waiting, 0) as waiting, coalesce(a.running, 0) as running, coalesce(e.done, 0) as done, coalesce(e.failed, 0) as failed
  from rowlock.source s left join rowlock.queue q on q.id = s.queue_id
  left join (select source_id, count(*) filter (where state <> 'running') as waiting, count(*) filter (where state = 'running') as running
               from rowlock.active where source_id > 0 group by source_id) a on a.source_id = s.id
  left join (select source_id, count(*) filter (where state = 'succeeded') as done, count(*) filter (where state in ('dead', 'unknown')) as failed
               from rowlock.done where source_id > 0 group by source_id) e on e.source_id = s.id
 where (s.retired_at is null and not coalesce(q.deleted, false)) or coalesce(a.waiting, 0) + coalesce(a.running, 0) + coalesce(e.failed, 0) > 0
 order by s.name
