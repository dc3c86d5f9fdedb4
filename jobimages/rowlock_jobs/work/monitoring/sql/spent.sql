-- spent: what the process has cost: tokens, comments written or being written.
select coalesce(sum(generation_tokens), 0)::bigint, count(*) filter (where comment_content is not null or status = 'generating')
  from ai_comments where monitoring_process_id = %(process_id)s and id <> %(comment_id)s
