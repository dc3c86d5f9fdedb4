-- article_gone: this login cannot read it; its rows fail, and one of another login that found it may try.
update ai_comments set status = 'failed', failed_at = clock_timestamp(), error_message = %(message)s, updated_at = clock_timestamp()
  where monitoring_process_id = %(process_id)s and mymoment_article_id = %(article_id)s and mymoment_login_id = %(login_id)s and (status = 'discovered' or id = %(comment_id)s)
