-- min_code_version: 1
--
-- Where credentials of an integration may be sent: a list of origins, placeholders of the base URL included. Null: it has
-- never named one. The base URL and where the credential goes stand in settings; neither is secret.

alter table keystead.integrations add column accepted_origins jsonb;
