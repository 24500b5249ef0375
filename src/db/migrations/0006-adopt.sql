-- min_code_version: 1

-- Resources whose environment another resource took over, on proof of its secret key. Their controller must neither make a
-- new environment for them nor let them take it back by themselves. They go with the environment.
create table keystead.superseded_owners (
  environment_id uuid not null references keystead.environments on delete cascade,
  owner_uid uuid not null,
  owner_cluster text not null,
  owner_release text not null,
  owner_namespace text not null,
  owner_name text not null,
  -- Who has it now, for people.
  by_cluster text not null,
  by_namespace text not null,
  by_name text not null,
  superseded_at timestamptz not null default now(),
  primary key (environment_id, owner_uid)
);

-- superseded-owners.ts knows the resource and no environment.
create index superseded_owners_owner on keystead.superseded_owners (owner_uid);
