-- min_code_version: 1
--
-- Audit events in daily partitions, the chain over them, and what may be dropped by age. Why so: docs/decisions/0009.

create table keystead.audit_settings (
  only_row boolean primary key default true check (only_row),
  -- Written by `keystead migrate` alone: whoever runs a process decides nothing about what may go.
  retention_days integer not null check (retention_days >= 1)
);
insert into keystead.audit_settings (retention_days) values (400);

alter table keystead.audit_events rename to audit_events_unpartitioned;
alter index keystead.audit_events_pkey rename to audit_events_unpartitioned_pkey;

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
  -- Orders the chain: once every transaction before it has ended, nothing can come between.
  transaction_id xid8 not null default pg_current_xact_id(),
  primary key (environment_id, event_id, occurred_at)
) partition by range (occurred_at);

-- Whatever no day was made for lands here, so that no insert ever fails.
create table keystead.audit_events_default partition of keystead.audit_events default;

-- src/vault/link-audit-events.ts goes on from the last linked event.
create index audit_events_transaction on keystead.audit_events (transaction_id, event_id);

-- A link covers up to a thousand events of one day: a SHA-256 of each, in order, and a MAC over them and the link before.
create table keystead.audit_links (
  sequence bigint primary key,
  audit_key_id uuid not null,
  linked_at timestamptz not null,
  day date not null,
  -- The last event linked before this link, and the last one in it: no unlinked event of the day lies between.
  after_transaction xid8 not null,
  after_event bigint not null,
  through_transaction xid8 not null,
  through_event bigint not null,
  -- Events with smaller ids were written before this database was restored from a dump into another server, whose transaction
  -- ids are not comparable. 0 where that never happened.
  above_event bigint not null,
  event_ids bigint[] not null,
  digests bytea not null,
  mac bytea not null
);
create index audit_links_day on keystead.audit_links (day);

-- Says with a MAC that the days up to one were dropped, and from which link on the chain is still there.
create table keystead.audit_checkpoints (
  day date primary key,
  -- 0 while the first link is still there.
  sequence bigint not null,
  link_mac bytea not null,
  audit_key_id uuid not null,
  mac bytea not null,
  made_at timestamptz not null default now()
);

create table keystead.audit_keys (
  audit_key_id uuid primary key,
  created_at timestamptz not null default now()
);

create table keystead.audit_key_wrappings (
  audit_key_id uuid not null references keystead.audit_keys,
  key_id text not null,
  wrapped bytea not null,
  created_at timestamptz not null default now(),
  primary key (audit_key_id, key_id)
);

-- Makes the partitions of today and the next seven days (UTC), and moves there what was written before they were made.
-- Runs as the owner, because the running role has no DDL. Nobody waits for it but readers of the default partition.
create function keystead.prepare_audit_days() returns integer
  language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '2s' set timezone = 'UTC'
as $$
declare
  today date := (now() at time zone 'UTC')::date;
  first_day timestamptz;
  name text;
  made integer := 0;
begin
  -- Two at once would make the same tables.
  if not pg_try_advisory_xact_lock(7310402190) then
    return 0;
  end if;
  for first_day in
    select distinct d::timestamptz
      from (
        select generate_series(today, today + 7, interval '1 day')::date as d
        union all
        select (occurred_at at time zone 'UTC')::date from keystead.audit_events_default
      ) as days
  loop
    name := 'audit_events_' || to_char(first_day, 'YYYYMMDD');
    if to_regclass('keystead.' || name) is null then
      execute format('create table keystead.%I (like keystead.audit_events including defaults including constraints)', name);
      execute format(
        'with moved as (
           delete from keystead.audit_events_default where occurred_at >= %L and occurred_at < %L returning *
         )
         insert into keystead.%I select * from moved',
        first_day, first_day + interval '1 day', name
      );
      execute format(
        'alter table keystead.audit_events attach partition keystead.%I for values from (%L) to (%L)',
        name, first_day, first_day + interval '1 day'
      );
      made := made + 1;
    end if;
  end loop;
  return made;
end
$$;
revoke all on function keystead.prepare_audit_days() from public;

-- Drops a day that is older than the retention and that a checkpoint speaks of, with the links that only covered such days.
-- Runs as the owner; the one who calls it can choose neither the age nor another table.
create function keystead.drop_audit_day(of_day date) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '2s' set timezone = 'UTC'
as $$
declare
  kept_days integer := (select retention_days from keystead.audit_settings);
begin
  if kept_days is null or of_day >= (now() at time zone 'UTC')::date - kept_days then
    raise exception using errcode = '42501', message = format('audit events of %s are kept for %s days', of_day, kept_days);
  end if;
  if not exists (select from keystead.audit_checkpoints where day = of_day) then
    raise exception using errcode = '42501', message = format('no checkpoint speaks of %s', of_day);
  end if;
  execute format('drop table if exists keystead.%I', 'audit_events_' || to_char(of_day, 'YYYYMMDD'));
  delete from keystead.audit_events_default
   where occurred_at >= of_day::timestamptz and occurred_at < of_day::timestamptz + interval '1 day';
  -- Never the newest link: the chain goes on from it.
  delete from keystead.audit_links
   where sequence <= (select sequence from keystead.audit_checkpoints where day = of_day)
     and sequence < (select max(sequence) from keystead.audit_links);
end
$$;
revoke all on function keystead.drop_audit_day(date) from public;

select keystead.prepare_audit_days();

-- Before Keystead knew partitions nothing was linked: the chain begins with what is moved here.
insert into keystead.audit_events (
  environment_id, event_id, occurred_at, actor_kind, actor, field_manager, address, action,
  target_kind, target_id, target_revision, deletion_id, fields, occurrences
)
overriding system value
select environment_id, event_id, occurred_at, actor_kind, actor, field_manager, address, action,
       target_kind, target_id, target_revision, deletion_id, fields, occurrences
  from keystead.audit_events_unpartitioned;
select setval(
  pg_get_serial_sequence('keystead.audit_events', 'event_id'),
  (select coalesce(max(event_id), 0) + 1 from keystead.audit_events_unpartitioned), false
);
drop table keystead.audit_events_unpartitioned;
