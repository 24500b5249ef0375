import type { Database } from "../db/database.ts";
import { statement } from "../db/statement.ts";
import type { ConnectionSummaryRow } from "./connection-summary.ts";
import { admits, permits, selects } from "./permission.ts";

/** One question for a connection. */
export interface ConnectionRead {
  /** SHA-256 of the token. */
  readonly keyDigest: Buffer;
  /** Short name of the token, for the audit event. */
  readonly keyFingerprint: string;
  readonly providerConfigKey: string;
  readonly connectionId: string;
  /** Of the caller. */
  readonly address: string | undefined;
  /** When the caller asked, by `performance.now()`. */
  readonly askedAt: number;
}

/** A connection that was found, with all that is sealed of it. */
export interface FoundConnectionRow extends ConnectionSummaryRow {
  readonly integration_id: string;
  /** Base64, as `config_sealed`. */
  readonly credentials_sealed: string | null;
  readonly credentials_revision: number | null;
  readonly config_sealed: string;
  readonly config_revision: number;
}

/** What the key is allowed. Without `may_read` the way ends at the environment, whatever is there. */
export interface ReadPermissions {
  readonly may_read: boolean;
  /** Without it no credentials are in the row, and the event says that none were read. */
  readonly may_read_credentials: boolean;
}

/** How far the way from key to connection went. A key that opens nothing has no row. */
export type ConnectionReadRow = ReadPermissions &
  (
    | FoundConnectionRow
    | { readonly integration_id: string; readonly connection_row_id: null }
    | { readonly integration_id: null; readonly connection_row_id: null }
  );

/**
 * Key, environment, integration and connection in one statement, so that nothing can be remembered beyond a revocation,
 * and in the same statement the record that they were read, so that nothing is read without one. Equal questions of one
 * moment share an audit event.
 *
 * What the key may do and which connections it was made for stand in the row that finds it, and are part of the look-up:
 * a connection that it was not made for is not found.
 *
 * Each step is one look-up by a unique index (the primary keys of `key_digests` and `environments`,
 * `integrations_unique_key`, `connections_connection_id`); "limit 1" says so to the planner, which would else join from
 * whichever table looks small, and keep to it when it no longer is. How large a value is stands beside it; it is fetched
 * only where it is given, and only then recorded as read. Sealed values come in base64: two thirds of the
 * bytes of a `bytea` in hex, and a quarter of the time to decode.
 */
const readText = (recorded: string): string => `with asked as (
     select * from unnest($1::int[], $2::bytea[], $3::text[], $4::text[], $5::text[], $6::text[], $7::int[])
       as a (position, digest, fingerprint, unique_key, connection_id, address, occurrences)
   ),
   found as (
     select a.position, a.fingerprint, a.address, a.occurrences, k.may_read, k.may_read_credentials,
            n.integration_id, n.unique_key, n.provider,
            e.environment_id, c.connection_row_id, c.numeric_id, c.connection_id, c.end_user, c.tags, c.metadata,
            c.created_at, c.updated_at, c.credentials_type, c.credentials_expires_at,
            coalesce(c.sealed_bytes > $8::int, false) as is_large,
            case when k.may_read_credentials then c.credentials_sealed end as credentials_sealed,
            c.credentials_revision, c.config_sealed, c.config_revision, c.revision
       from asked a
      cross join lateral (
        select k.environment_id, k.connection_selector,
               ${permits("k", "connections:read", "connections:read_credentials")} as may_read,
               ${permits("k", "connections:read_credentials")} as may_read_credentials
          from keystead.key_digests k
         where k.digest = a.digest and (k.expires_at is null or k.expires_at > now())
         limit 1
      ) k
      cross join lateral (
        select e.environment_id
          from keystead.environments e
         where e.environment_id = k.environment_id and e.deleted_at is null and ${admits("e", "a.address")}
         limit 1
      ) e
       left join lateral (
        select n.integration_id, n.unique_key, n.provider
          from keystead.integrations n
         where n.environment_id = e.environment_id and n.unique_key = a.unique_key and n.deleted_at is null
           and k.may_read
         limit 1
      ) n on true
       left join lateral (
        select c.*, octet_length(c.config_sealed) + coalesce(octet_length(c.credentials_sealed), 0) as sealed_bytes
          from keystead.connections c
         where c.environment_id = e.environment_id and c.integration_id = n.integration_id
           and c.connection_id = a.connection_id and c.deleted_at is null
           and ${selects("k", "c")}
         limit 1
      ) c on true
   )${recorded}
   select position, is_large, may_read, may_read_credentials, integration_id, unique_key, provider, environment_id,
          connection_row_id, numeric_id, connection_id, end_user, tags, metadata, created_at, updated_at,
          credentials_type, credentials_expires_at,
          case when not is_large then encode(credentials_sealed, 'base64') end as credentials_sealed, credentials_revision,
          case when not is_large then encode(config_sealed, 'base64') end as config_sealed, config_revision
     from found`;

const READ_AND_RECORD = statement(
  "read_connections",
  readText(`,
   recorded as (
     insert into keystead.audit_events (
       environment_id, actor_kind, actor, address, action, target_kind, target_id, target_revision, occurrences
     )
     select environment_id, 'key', fingerprint, address,
            case when may_read_credentials then 'connection.credentials-read' else 'connection.read' end, 'connection',
            connection_row_id, revision, occurrences
       from found
      where connection_row_id is not null and not is_large
   )`),
);

/** The same without the record, for `KEYSTEAD_AUDIT_READS=off`. */
const READ_UNRECORDED = statement("read_connections_unrecorded", readText(""));

/** A connection that is there and was left out, unrecorded, because more bytes are sealed in it than were asked for. */
export const TOO_LARGE = "too large";

/** Of what all that is sealed of a connection is far below. */
const UNLIMITED_BYTES = 2 ** 31 - 1;

export interface ReadConnectionRowsOptions {
  /** Whether reads are audit events. Default true. */
  readonly recorded?: boolean;
  /** Bytes, sealed, beyond which a connection is `TOO_LARGE`. Default: none is. */
  readonly maxBytes?: number;
}

/** What several callers of one moment may want to know. */
interface Question {
  readonly read: ConnectionRead;
  readonly position: number;
  occurrences: number;
}

/**
 * Answers questions of one moment with one statement: a row for each, in their order, and `undefined` for a key that
 * opens nothing. Equal questions are asked once. Rejects with a `database_*` error.
 */
export async function readConnectionRows(
  database: Pick<Database, "read">,
  reads: readonly ConnectionRead[],
  { recorded = true, maxBytes = UNLIMITED_BYTES }: ReadConnectionRowsOptions = {},
): Promise<(ConnectionReadRow | typeof TOO_LARGE | undefined)[]> {
  const questions = new Map<string, Question>();
  const askedBy = reads.map((read) => {
    const key = questionKey(read);
    const known = questions.get(key);
    if (known) {
      known.occurrences += 1;
      return known;
    }
    const question = { read, position: questions.size, occurrences: 1 };
    questions.set(key, question);
    return question;
  });
  const asked = [...questions.values()];
  const rows = await database.read<ConnectionReadRow & { readonly position: number; readonly is_large: boolean }>(
    recorded ? READ_AND_RECORD : READ_UNRECORDED,
    [
      asked.map(({ position }) => String(position)),
      asked.map(({ read }) => `\\x${read.keyDigest.toString("hex")}`),
      asked.map(({ read }) => read.keyFingerprint),
      asked.map(({ read }) => read.providerConfigKey),
      asked.map(({ read }) => read.connectionId),
      asked.map(({ read }) => read.address ?? null),
      asked.map(({ occurrences }) => String(occurrences)),
      maxBytes,
    ],
  );
  const answers = new Map<number, ConnectionReadRow | typeof TOO_LARGE>();
  for (const row of rows) answers.set(row.position, row.is_large ? TOO_LARGE : row);
  return askedBy.map(({ position }) => answers.get(position));
}

/**
 * The same for equal questions only: the digest has one length, and no text that Postgres can look for holds U+0000.
 */
function questionKey({ keyDigest, providerConfigKey, connectionId, address }: ConnectionRead): string {
  return [keyDigest.toString("latin1"), providerConfigKey, connectionId, address].join("\0");
}
