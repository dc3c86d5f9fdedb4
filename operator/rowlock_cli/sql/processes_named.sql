-- processes_named: the newest process of that name in each namespace; a name that was deleted and made again is the one
-- that lives.
select distinct on (namespace) id::text, namespace, name from public.monitoring_processes
 where name = %(name)s and namespace is not null and (%(namespace)s::text is null or namespace = %(namespace)s)
 order by namespace, is_active desc, created_at desc, id
