-- comments_decide: ids of those that were changed.
select monitoring.decide_v1(%(ids)s::uuid[], %(approval)s, %(by)s)::text
