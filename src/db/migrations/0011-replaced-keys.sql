-- min_code_version: 1
--
-- The few keys in a grace period are looked for by every purger, in all environments at once.

create index secret_keys_replaced on keystead.secret_keys (environment_id, secret_key_id) where replaced_at is not null;
