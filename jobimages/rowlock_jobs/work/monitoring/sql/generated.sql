-- generated: the comment; approved at once where the process posts by itself.
update ai_comments c set status = 'generated', comment_content = %(comment)s, reasoning_content = %(reasoning)s, ai_model_name = left(%(model)s, 100), ai_provider_name = %(provider)s,
    generation_tokens = coalesce(c.generation_tokens, 0) + %(tokens)s, generation_time_ms = %(ms)s, error_message = null, failed_at = null, generating_since = null, updated_at = clock_timestamp(),
    approval = case when m.generate_only then 'waiting' else 'approved' end, approved_by = case when m.generate_only then null else 'process' end,
    approved_at = case when m.generate_only then null else clock_timestamp() end
  from monitoring_processes m where c.id = %(comment_id)s and m.id = c.monitoring_process_id and c.status in ('generating', 'failed') returning c.approval
