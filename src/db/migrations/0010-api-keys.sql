-- min_code_version: 1
--
-- The further keys of an environment, by name. Their secret keys stand in secret_keys under that name; "main" is the
-- environment's own, which has no row here.

create table keystead.api_keys (
  environment_id uuid not null references keystead.environments on delete cascade,
  name text not null check (name <> 'main'),
  scopes text[] not null,
  -- Tags that a connection must have; null: every connection.
  connection_selector jsonb,
  expires_after_seconds bigint check (expires_after_seconds > 0),
  last_handled_rotation text,
  created_at timestamptz not null default now(),
  primary key (environment_id, name)
);

-- What a request is held against, copied from api_keys in the transaction that changes it there: a read asks for nothing
-- more than it did. Null: everything.
alter table keystead.key_digests
  add column scopes text[],
  add column connection_selector jsonb;
