-- Whether a failure of class infra is a disruption, in Kubernetes' sense: something else than the run ended a healthy
-- pod.
create or replace function rowlock.is_disruption(p_failure jsonb) returns bool
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select p_failure->>'class' = 'infra' and p_failure->>'reason' in (
    'Evicted', 'Preempted', 'Preempting', 'NodeLost', 'NodeShutdown', 'Shutdown', 'Terminated', 'Disrupted',
      'PodDeleted',
    'JobSuspended', 'NodeAffinity', 'UnexpectedAdmissionError')
$$;
revoke all on function rowlock.is_disruption from public;
