import type { Database } from "../db/database.ts";
import { statement } from "../db/statement.ts";
import type { ConnectionSummaryRow } from "./connection-summary.ts";
import { accountOf, callingActor, opens, permits } from "./permission.ts";
import { connectionOfWay, environmentOfKey, SEALED_COLUMNS } from "./way-fragments.ts";

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

/** What callers of one moment ask for, as it is answered: the question's own words are left out. */
type StoredRow = { readonly position: number; readonly is_large: boolean } & ReadPermissions &
  (
    | Omit<FoundConnectionRow, "unique_key" | "connection_id">
    | { readonly integration_id: string; readonly connection_row_id: null }
    | { readonly integration_id: null; readonly connection_row_id: null }
  );

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
 * The way from a key to an integration is looked up once for all who go it; what follows is a look-up for each question.
 *
 * Each step is one look-up by a unique index (the primary keys of `key_digests` and `environments`,
 * `integrations_unique_key`, `connections_connection_id`); see `way-fragments.ts`. How large a value is stands beside it; it is
 * fetched only where it is given, and only then recorded as read.
 */
const readText = (recorded: string): string => `with way as materialized (
     select a.way, a.fingerprint, ${accountOf("k", "e")} as account, a.address,
            k.connection_selector, k.may_read, k.may_read_credentials,
            e.environment_id, n.integration_id, n.provider
       from unnest((select $1::bytea[]), (select $2::text[]), (select $3::text[]), (select $4::text[]))
            with ordinality as a (digest, fingerprint, unique_key, address, way)
      cross join lateral (
        select k.environment_id, k.connection_selector, k.service_account,
               ${permits("k", "connections:read", "connections:read_credentials")} as may_read,
               ${permits("k", "connections:read_credentials")} as may_read_credentials
          from keystead.key_digests k
         where ${opens("k", "a.digest")}
         limit 1
      ) k
      ${environmentOfKey("a.address")}
       left join lateral (
        select n.integration_id, n.provider
          from keystead.integrations n
         where n.environment_id = e.environment_id and n.unique_key = a.unique_key and n.deleted_at is null
           and k.may_read
         limit 1
      ) n on true
   ),
   found as (
     select q.position, q.occurrences, w.fingerprint, w.account, w.address, w.may_read, w.may_read_credentials,
            w.integration_id, w.provider,
            w.environment_id, c.connection_row_id, c.numeric_id, c.end_user, c.tags, c.metadata,
            c.created_at, c.updated_at, c.credentials_type, c.credentials_expires_at,
            coalesce(c.sealed_bytes > $8::int, false) as is_large,
            case when w.may_read_credentials then c.credentials_sealed end as credentials_sealed,
            c.credentials_revision, c.config_sealed, c.config_revision, c.revision
       from unnest((select $5::int[]), (select $6::text[]), (select $7::int[]))
            with ordinality as q (way, connection_id, occurrences, position)
       join way w on w.way = q.way
       ${connectionOfWay({ environment: "w", integration: "w", key: "w", asked: "q" })}
   )${recorded}
   select position, is_large, may_read, may_read_credentials, integration_id, provider, environment_id,
          connection_row_id, numeric_id, end_user, tags, metadata, created_at, updated_at,
          credentials_type, credentials_expires_at,
          ${SEALED_COLUMNS}
     from found`;

const READ_AND_RECORD = statement(
  "read_connections",
  readText(`,
   recorded as (
     insert into keystead.audit_events (
       environment_id, actor_kind, actor, address, action, target_kind, target_id, target_revision, occurrences
     )
     select environment_id, ${callingActor("account", "fingerprint")}, address,
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
export const UNLIMITED_BYTES = 2 ** 31 - 1;

export interface ReadConnectionRowsOptions {
  /** Whether reads are audit events. Default true. */
  readonly recorded?: boolean;
  /** Bytes, sealed, beyond which a connection is `TOO_LARGE`. Default: none is. */
  readonly maxBytes?: number;
}

/** Where a key leads with one integration: callers who ask for many connections go it once. */
interface Way {
  /** From 1. */
  readonly number: number;
  readonly read: ConnectionRead;
}

/** What several callers of one moment may want to know. */
interface Question {
  readonly way: Way;
  readonly connectionId: string;
  /** From 1. */
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
  const ways = new Map<string, Way>();
  const questions = new Map<string, Question>();
  const askedBy = reads.map((read) => {
    const { connectionId } = read;
    const way = getOrInsert(ways, wayKey(read), (number) => ({ number, read }));
    const question = getOrInsert(questions, `${way.number} ${connectionId}`, (position) => ({
      way,
      connectionId,
      position,
      occurrences: 0,
    }));
    question.occurrences += 1;
    return question;
  });
  const asked = [...questions.values()];
  const gone = [...ways.values()].map(({ read }) => read);
  const rows = await database.read<StoredRow>(recorded ? READ_AND_RECORD : READ_UNRECORDED, [
    gone.map(({ keyDigest }) => `\\x${keyDigest.toString("hex")}`),
    gone.map(({ keyFingerprint }) => keyFingerprint),
    gone.map(({ providerConfigKey }) => providerConfigKey),
    gone.map(({ address }) => address ?? null),
    asked.map(({ way }) => String(way.number)),
    asked.map(({ connectionId }) => connectionId),
    asked.map(({ occurrences }) => String(occurrences)),
    maxBytes,
  ]);
  const answers = new Map<number, ConnectionReadRow | typeof TOO_LARGE>();
  for (const row of rows) {
    const question = asked[row.position - 1];
    if (question) answers.set(row.position, row.is_large ? TOO_LARGE : answerOf(row, question));
  }
  return askedBy.map(({ position }) => answers.get(position));
}

/** The names that were asked for are those of the row. */
function answerOf(row: StoredRow, { way, connectionId }: Question): ConnectionReadRow {
  if (row.connection_row_id === null) return row;
  return Object.assign(row, { unique_key: way.read.providerConfigKey, connection_id: connectionId });
}

/** What is known under a key, or what `make` gives for it and its number, from 1. */
function getOrInsert<Value>(known: Map<string, Value>, key: string, make: (number: number) => Value): Value {
  const found = known.get(key);
  if (found !== undefined) return found;
  const value = make(known.size + 1);
  known.set(key, value);
  return value;
}

/** The same for equal ways only: the digest has one length, and no text that Postgres can look for holds U+0000. */
function wayKey({ keyDigest, providerConfigKey, address }: ConnectionRead): string {
  return [keyDigest.toString("latin1"), providerConfigKey, address].join("\0");
}
