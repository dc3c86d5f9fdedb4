-- Where a runner runs, of its name: a pod's host name, or `once RUN-ATTEMPT` for the pod of a kube job.
create or replace function rowlock.host_of(p_runner text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select regexp_replace(p_runner, '\.[0-9]+\.[0-9a-f]+$', '')
$$;
revoke all on function rowlock.host_of from public;
