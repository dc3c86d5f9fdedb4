-- expire: ends what has run for its whole duration.
select monitoring.expire_v1()::text
