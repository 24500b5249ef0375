import { admits, selects } from "./permission.ts";

// SQL of the way from a key to a connection, for the statements that go it for many callers at once. Each piece is one look-up
// by a unique index; "limit 1" says so to the planner, which would else join from whichever table looks small, and keep to it
// when it no longer is.

/** `e`: the living environment of the key `k`, if the caller's address, which is text or null, may use it. */
export function environmentOfKey(address: string): string {
  return `cross join lateral (
        select e.environment_id, e.owner_namespace
          from keystead.environments e
         where e.environment_id = k.environment_id and e.deleted_at is null and ${admits("e", address)}
         limit 1
      ) e`;
}

/** Where a connection is looked for: aliases of what holds `environment_id`, `integration_id`, `connection_selector` and `connection_id`. */
interface ConnectionPlace {
  readonly environment: string;
  readonly integration: string;
  readonly key: string;
  readonly asked: string;
}

/** `c`: the living connection, and how many bytes are sealed in it. */
export function connectionOfWay({ environment, integration, key, asked }: ConnectionPlace): string {
  return `left join lateral (
        select c.*, octet_length(c.config_sealed) + coalesce(octet_length(c.credentials_sealed), 0) as sealed_bytes
          from keystead.connections c
         where c.environment_id = ${environment}.environment_id and c.integration_id = ${integration}.integration_id
           and c.connection_id = ${asked}.connection_id and c.deleted_at is null
           and ${selects(key, "c")}
         limit 1
      ) c on true`;
}

/**
 * Columns of what is sealed, of a row that says whether it `is_large`: those are fetched only where they are given. In base64,
 * which is two thirds of the bytes of a `bytea` in hex, and a quarter of the time to decode.
 */
export const SEALED_COLUMNS = `case when not is_large then encode(credentials_sealed, 'base64') end as credentials_sealed, credentials_revision,
          case when not is_large then encode(config_sealed, 'base64') end as config_sealed, config_revision`;
