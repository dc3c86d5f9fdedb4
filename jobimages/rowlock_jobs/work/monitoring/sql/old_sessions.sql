-- old_sessions: closed for thirty days.
delete from mymoment_sessions where not is_active and updated_at < clock_timestamp() - interval '30 days' returning 1
