-- prepared: the article's text for every row of the process that waits for it.
update ai_comments set status = 'prepared', article_title = %(title)s, article_author = coalesce(nullif(article_author, ''), left(%(author)s, 200)), article_content = %(content)s, article_raw_html = %(html)s,
    article_category = coalesce(%(category_id)s, article_category), article_published_at = coalesce(%(published_at)s, article_published_at), article_scraped_at = clock_timestamp(),
    article_url = left(%(url)s, 500), article_metadata = coalesce(article_metadata, '{}') || jsonb_build_object('category', %(category)s, 'task', %(task)s),
    error_message = null, failed_at = null, updated_at = clock_timestamp()
  where monitoring_process_id = %(process_id)s and mymoment_article_id = %(article_id)s and (status in ('discovered', 'preparing') or id = %(comment_id)s and status = 'failed')
