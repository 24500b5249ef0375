-- min_code_version: 1
--
-- Where the search for events that are not linked begins. When the link was made, no older one was unlinked: neither one that
-- was seen nor, as no transaction of Keystead stays open for a day, one that was not committed yet. It spares the older
-- partitions and proves nothing, so the MAC does not cover it and `keystead audit verify` does not read it.
alter table keystead.audit_links add column search_from timestamptz not null default '-infinity';
