-- min_code_version: 1
--
-- How often and from where the keys of an environment may be used.

alter table keystead.environments
  -- 0: as often as anybody likes.
  add column requests_per_minute integer not null default 0 check (requests_per_minute >= 0),
  -- Null: from everywhere.
  add column allowed_cidrs inet[];

-- What each process of the API let in of a limited environment, so that several keep one limit together. A process counts
-- under another id after each pause, always from 0. Not logged: after a crash of the server the counts begin anew, and it
-- makes no difference a few seconds later.
create unlogged table keystead.request_counts (
  environment_id uuid not null,
  counter_id uuid not null,
  -- What is added between two looks was let in meanwhile.
  admitted bigint not null,
  -- What the process believes is left of the burst, for those that begin to count.
  tokens double precision not null,
  counted_at timestamptz not null default now(),
  primary key (environment_id, counter_id)
);
