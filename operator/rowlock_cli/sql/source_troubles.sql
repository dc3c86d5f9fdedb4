-- source_troubles: sources that nobody feeds any more and whose outcomes cannot be written, with how many wait.
select s.trouble, (select count(*) from (select from rowlock.outbox o where o.source_id = s.id limit 1000) x) as outcomes
  from rowlock.source s where s.trouble is not null order by s.name, s.id
