-- withdraw: the process may not post by itself any more: a person decides.
update ai_comments set approval = 'waiting', approved_by = null, approved_at = null, updated_at = clock_timestamp() where id = %(comment_id)s and approved_by = 'process'
