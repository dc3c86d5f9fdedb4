-- comments_post: ids of those that may be posted now, whatever their process does.
select monitoring.post_v1(%(ids)s::uuid[], %(by)s)::text
