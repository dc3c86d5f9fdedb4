-- article_gone: nobody of the process can read it.
update ai_comments set status = 'failed', failed_at = clock_timestamp(), error_message = %(message)s, updated_at = clock_timestamp()
  where monitoring_process_id = %(process_id)s and mymoment_article_id = %(article_id)s and mymoment_login_id = %(login_id)s and status = 'discovered'
