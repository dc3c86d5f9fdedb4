-- troubles: what keeps an operator's duties from their work. It says so once a minute while it lasts: what is older is
-- of one that died meanwhile.
select duty, message, (extract(epoch from clock_timestamp()) - extract(epoch from min(since)))::float8 as seconds
  from rowlock.duty_trouble where seen_at > clock_timestamp() - interval '3 minutes' group by duty, message order by duty <> 'ledger lock', duty <> 'claimer', duty, message
