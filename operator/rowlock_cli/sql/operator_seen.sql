-- operator_seen: the leader looks several times a second, whether there is work or not. Another role's sessions are
-- seen only with the right to.
select coalesce(pg_has_role(current_user, 'pg_read_all_stats', 'usage') or pg_has_role(current_user, n.nspowner, 'usage'), false) as visible,
       (select extract(epoch from clock_timestamp() - max(greatest(a.state_change, a.query_start)))::float8 from pg_stat_activity a
         where a.datname = current_database() and a.application_name = 'rowlock-operator') as seconds
  from pg_namespace n where n.nspname = 'rowlock'
