-- min_code_version: 1
--
-- A secret key that was replaced is removed with its sealed value in the transaction that replaces it, unless it has a grace
-- period: then it stands beside its successor, with the instant of its end at its digest, until a later transaction removes it.

alter table keystead.environments
  add column rotation_seconds bigint check (rotation_seconds > 0),
  -- Made once, when the key was issued or the interval changed: a restart neither repeats a rotation nor skips one.
  add column next_rotation_at timestamptz,
  add constraint environments_rotation_check check ((rotation_seconds is null) = (next_rotation_at is null));

-- Grace period of a replaced key that has not begun, because no Secret is known to hold its successor yet.
alter table keystead.secret_keys add column pending_grace_seconds bigint check (pending_grace_seconds > 0);
