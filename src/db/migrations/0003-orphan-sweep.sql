-- min_code_version: 1

-- A sweep of orphaned rows that found too many of them at once and waits for a person. Absent: none does.
create table keystead.stopped_sweeps (
  cluster text not null,
  release text not null,
  -- Rows whose resources were missing, and rows in all.
  orphans integer not null,
  managed integer not null,
  stopped_at timestamptz not null default now(),
  -- Holds for no more orphans than there were.
  confirmed_at timestamptz,
  primary key (cluster, release)
);
