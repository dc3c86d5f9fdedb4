-- posted: it is on the site.
update ai_comments set status = 'posted', posted_at = clock_timestamp(), error_message = null, failed_at = null, updated_at = clock_timestamp(),
    mymoment_comment_id = coalesce(%(comment_id_at_site)s, mymoment_article_id || '-' || extract(epoch from clock_timestamp())::bigint || '-' || left(id::text, 8))
  where id = %(comment_id)s and status in ('posting', 'failed', 'unknown')
