-- processes_known: for a sentence that says what there is instead.
select namespace || '/' || name from public.monitoring_processes where namespace is not null and is_active order by namespace, name limit %(limit)s
