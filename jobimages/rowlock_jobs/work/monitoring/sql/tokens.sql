-- tokens: what an answer cost that could not be used.
update ai_comments set generation_tokens = coalesce(generation_tokens, 0) + %(tokens)s, retry_count = retry_count + 1 where id = %(comment_id)s
