-- encrypted: every token there is.
select 'login_name', id::text, username_encrypted from mymoment_logins
 union all select 'login_password', id::text, password_encrypted from mymoment_logins
 union all select 'session', id::text, session_data_encrypted from mymoment_sessions where is_active
 union all select 'model', id::text, api_key_encrypted from llm_provider_configurations where api_key_encrypted is not null
