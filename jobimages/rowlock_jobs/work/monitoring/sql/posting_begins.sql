-- posting_begins: before the POST: whoever comes after a crash looks at the article first.
update ai_comments set posting_started_at = clock_timestamp(), updated_at = clock_timestamp() where id = %(comment_id)s and status in ('posting', 'failed', 'unknown') returning 1
