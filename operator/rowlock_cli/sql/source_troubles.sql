-- source_troubles: what does not go on by itself: sources that nobody feeds and whose outcomes cannot be written, with
-- how many wait; rows marked as taken that no run belongs to.
select s.trouble, (select count(*) from (select from rowlock.outbox o where o.source_id = s.id limit 1000) x) as outcomes, s.marks
  from rowlock.source s where s.trouble is not null or (s.marks is not null and s.retired_at is null) order by s.name, s.id
