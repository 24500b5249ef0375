-- min_code_version: 1
--
-- handled_restore  spec.restoreFrom of the resource that manages the row, once it was done: the same manifest, applied
--                  again, restores nothing a second time.
-- claimed          false on a restored row of a resource: it is served, and belongs to the first resource of its cluster,
--                  kind, namespace, name and connection id that is stored.

alter table keystead.environments add column handled_restore uuid;
alter table keystead.integrations add column handled_restore uuid;
alter table keystead.connections add column handled_restore uuid;

-- From when on the deletions in an environment share the deletion id of its own. Bounds what a restore reads.
alter table keystead.environments add column deletion_since timestamptz;

-- With the row id, so that those of one instant (a whole environment) have an order in which they can be gone through.
drop index keystead.connections_deleted;
create index connections_deleted on keystead.connections (environment_id, deleted_at, connection_row_id)
  where deleted_at is not null;
