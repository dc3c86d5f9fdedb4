-- process: one process as the tasks need it.
select id::text, coalesce(namespace, '') as namespace, name, status, is_active, start_requested_at is not null as requested, site_driver, coalesce(base_url, '') as base_url, generate_only,
       hide_comments, tab_filter, category_filter, task_filter, search_filter, sort_option, article_limit, discovery_empty_streak, settings, generation_stopped
  from monitoring_processes where id = %(process_id)s
