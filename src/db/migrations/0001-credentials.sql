-- min_code_version: 1
--
-- Everything that holds an environment's data leads its primary key with environment_id, and statements name it:
-- isolation can be read off the schema, and environment_id is the distribution column when one Postgres is outgrown.
-- Global are the operator's keys and the reigns (they belong to no environment) and key_digests (a request carries
-- nothing else).
--
-- *_sealed   bytes of src/crypto/sealed-value.ts; *_revision beside one is the row revision it was sealed at, which is
--            part of its additional data.
-- *_digest   keyed digests of what a resource declared (base64), not of what is stored: a token refreshed since does
--            not look like an edit.
-- owner_*    the resource that manages the row; null for rows that came over the API.
-- resource_dirty_since  set in the transaction that changes a managed row behind its resource's back.

-- Keys this database knows. A key is listed once every data key is wrapped under it; check_value proves possession.
create table keystead.key_encryption_keys (
  key_id text primary key,
  check_value bytea not null,
  created_at timestamptz not null default now()
);

-- Which reign of its controllers is the newest of a release: only that one may store and soft-delete for its resources
-- (src/vault/reign.ts).
create table keystead.reigns (
  cluster text not null,
  release text not null,
  reign bigint not null,
  -- The process, for people.
  holder text not null,
  started_at timestamptz not null,
  primary key (cluster, release)
);

-- To be called in every transaction that writes on behalf of a reign: the next one waits for the end of the transaction,
-- and where it has begun already KS001 is raised. First the lock, then the look, because a key share lock is also granted
-- on a row version that was replaced a moment ago. A full share lock would not be; but in front of it the next reign would
-- wait for as long as there is always another write under way.
create function keystead.hold_reign(of_cluster text, of_release text, held bigint) returns bigint
  language plpgsql
as $$
declare
  newest keystead.reigns;
begin
  perform from keystead.reigns where cluster = of_cluster and release = of_release and reign = held for key share;
  select * into newest from keystead.reigns where cluster = of_cluster and release = of_release;
  if newest.reign = held then
    return held;
  end if;
  raise exception using
    errcode = 'KS001',
    message = format('reign %s of release %s is over: %s took over with reign %s', held, of_release, newest.holder, newest.reign);
end
$$;

create table keystead.environments (
  environment_id uuid primary key,
  name text not null,
  owner_cluster text,
  owner_release text,
  owner_namespace text,
  owner_name text,
  owner_uid uuid,
  claimed boolean not null default true,
  digest_key_sealed bytea not null,
  variables_sealed bytea not null,
  variables_revision bigint not null,
  public_key text not null,
  retention_seconds bigint not null check (retention_seconds >= 0),
  declaration_digest text not null,
  variables_digest text not null,
  sources jsonb not null,
  last_handled_rotation text,
  revision bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  deleted_at timestamptz,
  deletion_id uuid,
  resource_dirty_since timestamptz,
  check ((deleted_at is null) = (deletion_id is null))
);

-- Two processes that create the environment of one resource at once end with one row; describe-environments.ts reads by it.
-- Predicates name the columns of their index: while a table was never analyzed the planner takes "deleted_at is null" to
-- hold for one row in 200, and would read such an index as a whole to answer questions that other indexes are for.
create unique index environments_owner on keystead.environments (owner_uid)
  where owner_uid is not null and deleted_at is null;
-- soft-delete-environment.ts, when it is called again after a crash.
create index environments_deleted_owner on keystead.environments (owner_uid, deleted_at)
  where owner_uid is not null and deleted_at is not null;
-- What waits for the leader; nearly always empty.
create index environments_dirty on keystead.environments (environment_id) where resource_dirty_since is not null;
-- Environments whose retention may have ended.
create index environments_deleted on keystead.environments (deleted_at) where deleted_at is not null;

create table keystead.data_keys (
  environment_id uuid not null references keystead.environments,
  data_key_id uuid not null,
  state text not null check (state in ('active', 'retired')),
  -- Encryptions reserved so far, never fewer than were made. AES-GCM with random IVs ends at 2^32 (SP 800-38D, 8.3).
  encryption_count bigint not null default 0,
  created_at timestamptz not null default now(),
  primary key (environment_id, data_key_id)
);

-- Writers use the active key: there is exactly one.
create unique index data_keys_active on keystead.data_keys (environment_id) where state = 'active';

create table keystead.data_key_wrappings (
  environment_id uuid not null,
  data_key_id uuid not null,
  key_id text not null,
  wrapped bytea not null,
  created_at timestamptz not null default now(),
  primary key (environment_id, data_key_id, key_id),
  foreign key (environment_id, data_key_id) references keystead.data_keys on delete cascade
);

create table keystead.secret_keys (
  environment_id uuid not null references keystead.environments,
  secret_key_id uuid not null,
  name text not null,
  secret_key_sealed bytea not null,
  secret_key_revision bigint not null,
  fingerprint text not null,
  issued_at timestamptz not null default now(),
  -- Set when a newer key of that name took over; the old one may live on through its grace period.
  replaced_at timestamptz,
  primary key (environment_id, secret_key_id)
);

-- One current key for each name.
create unique index secret_keys_current on keystead.secret_keys (environment_id, name) where replaced_at is null;

-- The one global look-up: SHA-256 of a token, all that a request carries. The unguessable digest is the isolation here.
create table keystead.key_digests (
  digest bytea primary key,
  environment_id uuid not null,
  secret_key_id uuid not null,
  expires_at timestamptz,
  foreign key (environment_id, secret_key_id) references keystead.secret_keys on delete cascade
);

-- For the foreign key: deleting a secret key would read the whole table without it.
create index key_digests_secret_key on keystead.key_digests (environment_id, secret_key_id);

create table keystead.integrations (
  environment_id uuid not null references keystead.environments,
  integration_id uuid not null,
  unique_key text not null,
  owner_cluster text,
  owner_release text,
  owner_namespace text,
  owner_name text,
  owner_uid uuid,
  claimed boolean not null default true,
  provider text not null,
  display_name text not null,
  settings jsonb not null,
  client_sealed bytea,
  client_revision bigint,
  declaration_digest text not null,
  client_digest text,
  rest_digest text not null,
  sources jsonb not null,
  revision bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  deleted_at timestamptz,
  deletion_id uuid,
  resource_dirty_since timestamptz,
  primary key (environment_id, integration_id),
  check ((deleted_at is null) = (deletion_id is null)),
  check ((client_sealed is null) = (client_revision is null))
);

-- provider_config_key of a request; list-integrations.ts in its order.
create unique index integrations_unique_key on keystead.integrations (environment_id, unique_key)
  where unique_key is not null and deleted_at is null;
-- As for connections, below.
create unique index integrations_owner on keystead.integrations (owner_uid, environment_id)
  where owner_uid is not null and deleted_at is null;
create index integrations_deleted_owner on keystead.integrations (owner_uid, deleted_at)
  where owner_uid is not null and deleted_at is not null;
create index integrations_dirty on keystead.integrations (environment_id) where resource_dirty_since is not null;
create index integrations_deleted on keystead.integrations (environment_id, deleted_at) where deleted_at is not null;

create table keystead.connections (
  environment_id uuid not null,
  connection_row_id uuid not null,
  -- The whole-number `id` of Nango's contract.
  numeric_id bigint not null generated always as identity,
  integration_id uuid not null,
  connection_id text not null,
  owner_cluster text,
  owner_release text,
  owner_namespace text,
  owner_name text,
  owner_uid uuid,
  claimed boolean not null default true,
  credentials_type text,
  credentials_sealed bytea,
  credentials_revision bigint,
  credentials_expires_at timestamptz,
  config_sealed bytea not null,
  config_revision bigint not null,
  metadata jsonb,
  -- Whether the resource declares `metadata`; while it does not, metadata belongs to the API.
  metadata_declared boolean not null,
  tags jsonb not null,
  end_user jsonb,
  declaration_digest text not null,
  -- Null while the resource declares no credentials, whatever a browser authorization stored since.
  credentials_digest text,
  config_digest text not null,
  rest_digest text not null,
  sources jsonb not null,
  revision bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  deleted_at timestamptz,
  deletion_id uuid,
  resource_dirty_since timestamptz,
  -- Row ids are UUIDv7, so this is also the order of creation: list-connections.ts reads it backwards.
  primary key (environment_id, connection_row_id),
  foreign key (environment_id, integration_id) references keystead.integrations,
  check ((deleted_at is null) = (deletion_id is null)),
  check (num_nulls(credentials_sealed, credentials_revision, credentials_type) in (0, 3))
);

-- read-connection.ts; also what makes a connection id unique within its integration.
create unique index connections_connection_id on keystead.connections (environment_id, integration_id, connection_id)
  where connection_id is not null and deleted_at is null;
-- describe-connections.ts and soft-delete-connection.ts know no environment, only the resource: so the uid leads. It
-- also lets two processes that store one resource at once end with one row.
create unique index connections_owner on keystead.connections (owner_uid, environment_id)
  where owner_uid is not null and deleted_at is null;
-- soft-delete-connection.ts, when it is called again after a crash.
create index connections_deleted_owner on keystead.connections (owner_uid, deleted_at)
  where owner_uid is not null and deleted_at is not null;
-- What waits for the leader; nearly always empty.
create index connections_dirty on keystead.connections (environment_id) where resource_dirty_since is not null;
-- Connections whose retention may have ended, and those deleted together with their integration or environment.
create index connections_deleted on keystead.connections (environment_id, deleted_at) where deleted_at is not null;

-- Append-only: the running role may insert and read, nothing else. Outlives what it speaks of, so it references nothing,
-- and holds ids and names of fields only: no value, no end user's data.
create table keystead.audit_events (
  environment_id uuid not null,
  event_id bigint not null generated always as identity,
  occurred_at timestamptz not null default clock_timestamp(),
  actor_kind text not null check (actor_kind in ('resource', 'key', 'system')),
  -- uid of the resource, fingerprint of the key, or name of the part of Keystead.
  actor text not null,
  field_manager text,
  address text,
  action text not null,
  target_kind text not null,
  target_id uuid not null,
  target_revision bigint,
  deletion_id uuid,
  fields text[] not null default '{}',
  -- Equal reads of one moment share a row.
  occurrences integer not null default 1,
  primary key (environment_id, event_id)
);
