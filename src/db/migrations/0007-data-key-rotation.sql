-- min_code_version: 1
--
-- Replacing the data key of an environment: src/vault/rotate-data-key.ts begins it, src/vault/reencrypt-environment.ts
-- takes the values to the new key, src/vault/retired-data-keys.ts destroys the old one.

alter table keystead.environments add column last_handled_data_key_rotation text;

-- When the last value under a retired key was taken from it. Nothing comes under it again: see below.
alter table keystead.data_keys add column unused_since timestamptz;

-- Bytes 1 to 16 of a sealed value (src/crypto/sealed-value.ts), null of what is too short to be one. Of a long one only the
-- first piece is fetched.
create function keystead.data_key_of(sealed bytea) returns uuid
  language sql immutable strict parallel safe
  return case when octet_length(sealed) > 17 then encode(substring(sealed from 2 for 16), 'hex')::uuid end;

-- No value comes under a data key that is not the active one, whatever the writing process still has in memory: so what
-- was once re-encrypted stays so, and no value is ever left under a key that was destroyed. First the lock, then the look,
-- as in hold_reign. A key share lock does not hold up the replacement of the key; who destroys the old one waits for it.
create function keystead.hold_active_data_key(of_environment uuid, of_key uuid) returns void
  language plpgsql
as $$
begin
  perform from keystead.data_keys where environment_id = of_environment and data_key_id = of_key for key share;
  perform from keystead.data_keys where environment_id = of_environment and data_key_id = of_key and state = 'active';
  if not found then
    raise exception using
      errcode = 'KS002',
      message = format('data key %s of environment %s was replaced', of_key, of_environment),
      detail = of_environment::text;
  end if;
end
$$;

-- In an insert every field of old is null. Of two values under one key the second is not looked at.
create function keystead.guard_connection_values() returns trigger
  language plpgsql
as $$
declare
  config_key uuid := keystead.data_key_of(new.config_sealed);
  credentials_key uuid := keystead.data_key_of(new.credentials_sealed);
  checked uuid;
begin
  if config_key is distinct from keystead.data_key_of(old.config_sealed) then
    perform keystead.hold_active_data_key(new.environment_id, config_key);
    checked := config_key;
  end if;
  if credentials_key is not null and credentials_key is distinct from checked
    and credentials_key is distinct from keystead.data_key_of(old.credentials_sealed) then
    perform keystead.hold_active_data_key(new.environment_id, credentials_key);
  end if;
  return new;
end
$$;

create trigger guard_new_values before insert on keystead.connections
  for each row execute function keystead.guard_connection_values();
create trigger guard_changed_values before update of config_sealed, credentials_sealed on keystead.connections
  for each row when (
    keystead.data_key_of(new.config_sealed) is distinct from keystead.data_key_of(old.config_sealed)
    or keystead.data_key_of(new.credentials_sealed) is distinct from keystead.data_key_of(old.credentials_sealed)
  ) execute function keystead.guard_connection_values();

create function keystead.guard_integration_values() returns trigger
  language plpgsql
as $$
begin
  perform keystead.hold_active_data_key(new.environment_id, keystead.data_key_of(new.client_sealed));
  return new;
end
$$;

create trigger guard_new_values before insert on keystead.integrations
  for each row when (new.client_sealed is not null) execute function keystead.guard_integration_values();
create trigger guard_changed_values before update of client_sealed on keystead.integrations
  for each row when (
    new.client_sealed is not null
    and keystead.data_key_of(new.client_sealed) is distinct from keystead.data_key_of(old.client_sealed)
  ) execute function keystead.guard_integration_values();

create function keystead.guard_secret_key_values() returns trigger
  language plpgsql
as $$
begin
  perform keystead.hold_active_data_key(new.environment_id, keystead.data_key_of(new.secret_key_sealed));
  return new;
end
$$;

create trigger guard_new_values before insert on keystead.secret_keys
  for each row execute function keystead.guard_secret_key_values();
create trigger guard_changed_values before update of secret_key_sealed on keystead.secret_keys
  for each row when (
    keystead.data_key_of(new.secret_key_sealed) is distinct from keystead.data_key_of(old.secret_key_sealed)
  ) execute function keystead.guard_secret_key_values();

-- None at an insert: the row of a new environment comes before its data key, in one transaction.
create function keystead.guard_environment_values() returns trigger
  language plpgsql
as $$
begin
  if keystead.data_key_of(new.variables_sealed) is distinct from keystead.data_key_of(old.variables_sealed) then
    perform keystead.hold_active_data_key(new.environment_id, keystead.data_key_of(new.variables_sealed));
  end if;
  if keystead.data_key_of(new.digest_key_sealed) is distinct from keystead.data_key_of(old.digest_key_sealed) then
    perform keystead.hold_active_data_key(new.environment_id, keystead.data_key_of(new.digest_key_sealed));
  end if;
  return new;
end
$$;

create trigger guard_changed_values before update of variables_sealed, digest_key_sealed on keystead.environments
  for each row when (
    keystead.data_key_of(new.variables_sealed) is distinct from keystead.data_key_of(old.variables_sealed)
    or keystead.data_key_of(new.digest_key_sealed) is distinct from keystead.data_key_of(old.digest_key_sealed)
  ) execute function keystead.guard_environment_values();
