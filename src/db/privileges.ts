import { KeysteadError } from "../errors.ts";

/**
 * What the running processes may do, table by table. They own nothing, so they have no DDL; audit events can be added
 * and read, never changed or removed. Deleting is for what a purge takes and for what a rotation leaves behind.
 */
const PRIVILEGES: Readonly<Record<string, string>> = {
  schema_migrations: "select",
  key_encryption_keys: "select, insert, update (configured_at, retired_at)",
  reigns: "select, insert, update",
  stopped_sweeps: "select, insert, update, delete",
  environments: "select, insert, update, delete",
  superseded_owners: "select, insert",
  data_keys: "select, insert, update, delete",
  data_key_wrappings: "select, insert, delete",
  secret_keys: "select, insert, update, delete",
  key_digests: "select, insert, update, delete",
  api_keys: "select, insert, update, delete",
  token_issuers: "select, insert, update",
  request_counts: "select, insert, update, delete",
  integrations: "select, insert, update, delete",
  connections: "select, insert, update, delete",
  audit_events: "select, insert",
  audit_settings: "select",
  audit_links: "select, insert",
  audit_checkpoints: "select, insert",
  audit_keys: "select, insert",
  audit_key_wrappings: "select, insert, delete",
};

/** What they may have done by the owner: functions that look at the facts themselves, and take no name and no age. */
const FUNCTIONS: readonly string[] = ["prepare_audit_days()", "drop_audit_day(date)"];

/** Postgres cuts longer names, and one that needs quoting is a trap in every shell and manifest. */
const ROLE_NAME = /^[a-z_][a-z0-9_]{0,62}$/;

/** Throws `configuration_invalid` for a name that would have to be quoted: it goes into statements as it is. */
export function checkRoleName(role: string): void {
  if (ROLE_NAME.test(role)) return;
  throw new KeysteadError(
    "configuration_invalid",
    `${JSON.stringify(role)} cannot be the running role: use 1 to 63 small letters, digits and underscores, starting with a letter`,
  );
}

/**
 * Makes the group role that running logins are members of. Roles belong to the whole server, so two databases that are
 * migrated at once may both find it missing: the one that comes second takes the other's.
 */
export function createRoleStatement(role: string): string {
  return `
    do $$ begin
      if not exists (select from pg_catalog.pg_roles where rolname = '${role}') then
        create role ${role} nologin;
      end if;
    exception when duplicate_object or unique_violation then null;
    end $$`;
}

/** Gives the role exactly the privileges above, whatever it had before. */
export function grantStatements(role: string): string {
  const tables = Object.entries(PRIVILEGES).map(
    ([table, privileges]) => `grant ${privileges} on keystead.${table} to ${role};`,
  );
  const functions = FUNCTIONS.map((name) => `grant execute on function keystead.${name} to ${role};`);
  return `
    grant usage on schema keystead to ${role};
    revoke all on all tables in schema keystead from ${role};
    ${[...tables, ...functions].join("\n    ")}`;
}
