// The server that reads are measured against, as a process of its own: node bench/support/bare-server.ts '<JSON of BareTask>'
// One pipelined SELECT, the decryption, one answer: no routes, no authentication, no audit.
import { createDecipheriv, type KeyObject } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { Client } from "pg";
import { createKeyEncryptionKeys } from "../../src/crypto/kek.ts";
import { additionalData, importDataKey, type SealedLabel } from "../../src/crypto/sealed-value.ts";
import { Secret } from "../../src/crypto/secret.ts";
import type { BareTask } from "./bare-task.ts";

/** As many as gave the highest rate on two cores. */
const CLIENTS = 2;

/** Offsets within a sealed value: see src/crypto/sealed-value.ts. */
const IV_START = 17;
const TAG_START = 29;
const CIPHERTEXT_START = 45;

const SELECT_CREDENTIALS = {
  name: "credentials",
  text: `select connection_id, connection_row_id, credentials_sealed, credentials_revision from keystead.connections
          where environment_id = $1 and integration_id = $2 and connection_id = $3 and deleted_at is null`,
};

const SELECT_CONNECTION = {
  name: "connection",
  text: `select c.connection_id, c.connection_row_id, c.numeric_id, c.end_user, c.tags, c.metadata, c.created_at, c.updated_at,
                c.credentials_sealed, c.credentials_revision, c.config_sealed, c.config_revision, n.unique_key, n.provider
           from keystead.connections c
           join keystead.integrations n on n.environment_id = c.environment_id and n.integration_id = c.integration_id
          where c.environment_id = $1 and c.integration_id = $2 and c.connection_id = $3 and c.deleted_at is null`,
};

interface CredentialsRow {
  readonly connection_id: string;
  readonly connection_row_id: string;
  readonly credentials_sealed: Buffer;
  readonly credentials_revision: string;
}

interface ConnectionRow extends CredentialsRow {
  readonly numeric_id: string;
  readonly unique_key: string;
  readonly provider: string;
  readonly end_user: object | null;
  readonly tags: object;
  readonly metadata: object | null;
  readonly created_at: Date;
  readonly updated_at: Date;
  readonly config_sealed: Buffer;
  readonly config_revision: string;
}

const task: BareTask = JSON.parse(process.argv[2] ?? "{}");
const { environmentId, integrationId } = task;
const clients = Array.from(
  { length: CLIENTS },
  () => new Client({ connectionString: task.databaseUrl, pipeline: true }),
);
await Promise.all(clients.map((client) => client.connect()));
const key = await dataKey();

process.once("SIGTERM", () => process.exit());

let turn = 0;
const bodyOf = task.answer === "connection" ? connectionBody : credentialsBody;
const server = createServer((request, response) => void answer(request, response));
server.listen(task.port, "127.0.0.1");

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await bodyOf(decodeURIComponent((request.url ?? "").slice("/connections/".length)));
  response.writeHead(body === undefined ? 404 : 200, {
    "content-type": "application/json; charset=utf-8",
    "content-length": Buffer.byteLength(body ?? ""),
  });
  response.end(body);
}

async function credentialsBody(connectionId: string): Promise<string | undefined> {
  const row = await find<CredentialsRow>(SELECT_CREDENTIALS, connectionId);
  return row && `{"connection_id":${JSON.stringify(row.connection_id)},"credentials":${credentialsOf(row)}}`;
}

/** What the contract says, as Keystead answers. */
async function connectionBody(connectionId: string): Promise<string | undefined> {
  const row = await find<ConnectionRow>(SELECT_CONNECTION, connectionId);
  if (!row) return undefined;
  const head = JSON.stringify({
    id: Number(row.numeric_id),
    connection_id: row.connection_id,
    provider_config_key: row.unique_key,
    provider: row.provider,
    errors: [],
    end_user: row.end_user,
    tags: row.tags,
    metadata: row.metadata,
    webhook_url_override: null,
    created_at: row.created_at,
    updated_at: row.updated_at,
    last_fetched_at: null,
  });
  const config = decrypt(row.config_sealed, "connection.config", row.connection_row_id, row.config_revision);
  return `${head.slice(0, -1)},"connection_config":${config},"credentials":${credentialsOf(row)}}`;
}

async function find<Row extends object>(
  select: typeof SELECT_CREDENTIALS,
  connectionId: string,
): Promise<Row | undefined> {
  turn += 1;
  const values = [environmentId, integrationId, connectionId];
  const found = await clients[turn % CLIENTS]?.query<Row>({ ...select, values });
  return found?.rows[0];
}

function credentialsOf({ credentials_sealed: sealed, connection_row_id: rowId, credentials_revision }: CredentialsRow) {
  return decrypt(sealed, "connection.credentials", rowId, credentials_revision);
}

function decrypt(sealed: Buffer, label: SealedLabel, rowId: string, revision: string): string {
  const decipher = createDecipheriv("aes-256-gcm", key, sealed.subarray(IV_START, TAG_START), { authTagLength: 16 });
  decipher.setAAD(additionalData({ label, environmentId, rowId, revision: Number(revision) }));
  decipher.setAuthTag(sealed.subarray(TAG_START, CIPHERTEXT_START));
  return decipher.update(sealed.subarray(CIPHERTEXT_START), undefined, "utf8") + decipher.final("utf8");
}

/** The environment's data key, unwrapped once: all rows of the bench are sealed with it. */
async function dataKey(): Promise<KeyObject> {
  const found = await clients[0]?.query<{ data_key_id: string; key_id: string; wrapped: Buffer }>(
    "select data_key_id, key_id, wrapped from keystead.data_key_wrappings where environment_id = $1",
    [environmentId],
  );
  const [wrapping] = found?.rows ?? [];
  const keys = createKeyEncryptionKeys(new Secret(task.encryptionKey));
  const { data_key_id: dataKeyId = "", key_id: keyId = "", wrapped = Buffer.alloc(0) } = wrapping ?? {};
  return importDataKey(dataKeyId, await keys.unwrap(keyId, wrapped, { environmentId, dataKeyId })).key;
}
