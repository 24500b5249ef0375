-- min_code_version: 1
--
-- list-connections.ts, for one end user: in the order of the list, so that each part costs what it holds. Connections without
-- an end user are not in it.

create index connections_end_user on keystead.connections (environment_id, (end_user ->> 'id'), connection_row_id)
  where deleted_at is null and end_user is not null;
