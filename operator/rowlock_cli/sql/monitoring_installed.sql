-- monitoring_installed: whether the domain's migration of this version has run in this database.
select to_regprocedure('monitoring.post_v1(uuid[],text)') is not null
