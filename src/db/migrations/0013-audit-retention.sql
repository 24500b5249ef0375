-- min_code_version: 1
--
-- What a checkpoint lets go is bound by its day as well: the running role writes checkpoints, and one that it invents must not
-- let it drop links of days that are kept.

-- Drops a day that is older than the retention and that a checkpoint speaks of, with the links that only covered such days.
-- Runs as the owner; the one who calls it can choose neither the age nor another table.
create or replace function keystead.drop_audit_day(of_day date) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '2s' set timezone = 'UTC'
as $$
declare
  kept_days integer := (select retention_days from keystead.audit_settings);
  last_link bigint := (select sequence from keystead.audit_checkpoints where day = of_day);
  partition text := 'audit_events_' || to_char(of_day, 'YYYYMMDD');
begin
  if kept_days is null or of_day >= (now() at time zone 'UTC')::date - kept_days then
    raise exception using errcode = '42501', message = format('audit events of %s are kept for %s days', of_day, kept_days);
  end if;
  if last_link is null then
    raise exception using errcode = '42501', message = format('no checkpoint speaks of %s', of_day);
  end if;
  -- A day that never was, or is gone already, takes nothing along.
  if to_regclass('keystead.' || partition) is null
     and not exists (select from keystead.audit_links where day = of_day)
     and not exists (
       select from keystead.audit_events_default
        where occurred_at >= of_day::timestamptz and occurred_at < of_day::timestamptz + interval '1 day'
     )
  then
    return;
  end if;
  execute format('drop table if exists keystead.%I', partition);
  delete from keystead.audit_events_default
   where occurred_at >= of_day::timestamptz and occurred_at < of_day::timestamptz + interval '1 day';
  -- Never the newest link: the chain goes on from it.
  delete from keystead.audit_links
   where day <= of_day
     and sequence <= last_link
     and sequence < (select max(sequence) from keystead.audit_links);
end
$$;
