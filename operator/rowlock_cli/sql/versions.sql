-- versions: what is reached, as whom. No password is anywhere in it.
select current_database()::text as database, current_user::text as login, host(inet_server_addr()) as address, split_part(current_setting('server_version'), ' ', 1) as postgresql,
       has_table_privilege('rowlock.migration', 'select') as may_read_migrations
