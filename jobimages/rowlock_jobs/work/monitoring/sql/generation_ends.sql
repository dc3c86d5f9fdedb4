-- generation_ends: nothing was written.
update ai_comments set generating_since = null where id = %(comment_id)s
