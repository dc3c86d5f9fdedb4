-- generation_begins: from here on it counts as being written.
update ai_comments set generating_since = clock_timestamp() where id = %(comment_id)s
