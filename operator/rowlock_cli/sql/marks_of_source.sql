-- marks_of_source: what an audit found of the source that the name means.
select s.marks from rowlock.source s where (s.name = %(source)s or split_part(s.name, '/', 2) = %(source)s) and s.retired_at is null and s.marks is not null
