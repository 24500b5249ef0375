-- min_code_version: 1
--
-- Pods that may use the token of their ServiceAccount instead of a key.

-- What signs the tokens of a cluster, as its API server says it and the leader of its controllers keeps it here: the API
-- has no credentials of any cluster.
create table keystead.token_issuers (
  cluster text primary key,
  issuer text not null,
  jwks jsonb not null,
  renewed_at timestamptz not null default now()
);

-- A ServiceAccount that an Environment lists, while it lives, is looked up as a key is. Its digest is made of the cluster,
-- the namespace, the Environment's name, and the name and uid of the account: nothing that a caller could send as a key has
-- that digest, since keys are digested themselves.
alter table keystead.key_digests
  alter column secret_key_id drop not null,
  add column service_account text,
  add column service_account_uid uuid,
  add constraint key_digests_holder_check check (
    (secret_key_id is null) = (service_account is not null)
    and (service_account is null) = (service_account_uid is null)
  ),
  add constraint key_digests_environment_fkey foreign key (environment_id) references keystead.environments on delete cascade;
