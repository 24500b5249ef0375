// The server that reads are measured against, as a process of its own: node bench/support/bare-server.ts '<JSON of BareTask>'
// One pipelined SELECT by the primary lookup, one decryption, one answer: no routes, no authentication, no audit.
import { createDecipheriv, type KeyObject } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { Client } from "pg";
import { createKeyEncryptionKeys } from "../../src/crypto/kek.ts";
import { additionalData, importDataKey } from "../../src/crypto/sealed-value.ts";
import { Secret } from "../../src/crypto/secret.ts";
import type { BareTask } from "./bare-task.ts";

/** As many as gave the highest rate on two cores. */
const CLIENTS = 2;

/** Offsets within a sealed value: see src/crypto/sealed-value.ts. */
const IV_START = 17;
const TAG_START = 29;
const CIPHERTEXT_START = 45;

const SELECT = {
  name: "read",
  text: `select connection_row_id, credentials_sealed, credentials_revision from keystead.connections
          where environment_id = $1 and integration_id = $2 and connection_id = $3 and deleted_at is null`,
};

interface Row {
  readonly connection_row_id: string;
  readonly credentials_sealed: Buffer;
  readonly credentials_revision: string;
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
const server = createServer((request, response) => void answer(request, response));
server.listen(task.port, "127.0.0.1");

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const connectionId = decodeURIComponent((request.url ?? "").slice("/connections/".length));
  turn += 1;
  const found = await clients[turn % CLIENTS]?.query<Row>({
    ...SELECT,
    values: [environmentId, integrationId, connectionId],
  });
  const [row] = found?.rows ?? [];
  const body = row ? `{"connection_id":${JSON.stringify(connectionId)},"credentials":${decrypt(row)}}` : "{}";
  response.writeHead(row ? 200 : 404, {
    "content-type": "application/json; charset=utf-8",
    "content-length": Buffer.byteLength(body),
  });
  response.end(body);
}

function decrypt({
  connection_row_id: rowId,
  credentials_sealed: sealed,
  credentials_revision: revision,
}: Row): string {
  const decipher = createDecipheriv("aes-256-gcm", key, sealed.subarray(IV_START, TAG_START), { authTagLength: 16 });
  const place = { label: "connection.credentials", environmentId, rowId, revision: Number(revision) } as const;
  decipher.setAAD(additionalData(place));
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
