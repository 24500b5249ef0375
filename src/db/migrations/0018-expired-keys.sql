-- min_code_version: 1
--
-- Keys whose end has come are looked for by every purger, in all environments at once: those that were replaced, and named
-- keys that have expired. Most keys have no end.

create index key_digests_expires_at on keystead.key_digests (expires_at) where expires_at is not null;
