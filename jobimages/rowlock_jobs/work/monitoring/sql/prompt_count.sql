-- prompt_count: prompts a process still names.
select count(*) from monitoring_process_prompts where monitoring_process_id = %(process_id)s and is_active
