-- min_code_version: 1
--
-- The life of an operator's key: src/vault/prove-key.ts lists it, src/vault/retire-encryption-key.ts ends it.

alter table keystead.key_encryption_keys
  -- When a running process last had the key in its settings, to the minute: before it is retired nobody may.
  add column configured_at timestamptz,
  -- From here on nothing is wrapped under the key, whoever configures it, and a process that has no other does not start.
  add column retired_at timestamptz;
