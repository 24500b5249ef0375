-- min_code_version: 1
--
-- Who acted may be the ServiceAccount of a pod, as `namespace/name`. Rows that are there have one of the three kinds of before.
-- The 1 is Postgres's: when 0008 made the table, the one before it had the name.
alter table keystead.audit_events
  drop constraint audit_events_actor_kind_check1,
  add constraint audit_events_actor_kind_check check (actor_kind in ('resource', 'key', 'service-account', 'system'));
