-- min_code_version: 1
--
-- For the purge (src/vault/purge-*.ts). The index holds nothing of what is alive, so that neither a store nor a read pays for
-- it, and no read can take it for its own.

-- What goes with an integration, in the order of connections_deleted.
create index connections_deleted_integration
  on keystead.connections (environment_id, integration_id, deleted_at, connection_row_id)
  where deleted_at is not null;

-- A purge leaves dead rows by the hundred thousand. By default they would be cleared away when a fifth of the table is
-- dead; with these, soon enough for what comes next to find room in their place.
alter table keystead.connections set (
  autovacuum_vacuum_scale_factor = 0.02,
  autovacuum_vacuum_threshold = 1000,
  toast.autovacuum_vacuum_scale_factor = 0.02,
  toast.autovacuum_vacuum_threshold = 1000
);
