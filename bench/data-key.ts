import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { Client } from "pg";
import { createChildProcesses } from "../dev/processes/child-processes.ts";
import { makeScratchDirectory } from "../dev/processes/scratch-directory.ts";
import { createKeyEncryptionKeys } from "../src/crypto/kek.ts";
import { Secret } from "../src/crypto/secret.ts";
import { openDatabase } from "../src/db/database.ts";
import { KeysteadError } from "../src/errors.ts";
import type { Vault } from "../src/vault/context.ts";
import { reencryptEnvironment } from "../src/vault/reencrypt-environment.ts";
import { rotateDataKey } from "../src/vault/rotate-data-key.ts";
import { openVault } from "../src/vault/vault.ts";
import { startMigratedDatabase } from "./support/arena.ts";
import { median } from "./support/measure.ts";
import { progress } from "./support/progress.ts";
import { fill } from "./support/stored-connections.ts";
import type { Findings, Table } from "./support/table.ts";

const CONNECTIONS = 100_000;
/** Rounds in which both have their turn, one after the other. */
const ROUNDS = 3;
/** Rows of one statement of the bare loop: as many as Keystead takes. */
const BATCH = 250;

const HEADER_BYTES = 17;
const IV_BYTES = 12;
const TAG_BYTES = 16;

export const dataKey: Table = {
  name: "data-key",
  title: "Replacing a data key",
  async run(): Promise<Findings> {
    const directory = await makeScratchDirectory();
    await using children = createChildProcesses(directory, true);
    const { url, ownerUrl } = await startMigratedDatabase(directory, children);
    progress(`storing ${CONNECTIONS} connections`);
    const { encryptionKey, environmentId } = await fill({ url }, CONNECTIONS);
    await using database = openDatabase({ url: new Secret(url), applicationName: "keystead bench" });
    const vault = await openVault({ database, keys: createKeyEncryptionKeys(new Secret(encryptionKey)) });
    const owner = new Client({ connectionString: ownerUrl });
    await owner.connect();
    try {
      let key = await copyFor(owner);
      const bare: number[] = [];
      const ours: number[] = [];
      for (let round = 1; round <= ROUNDS; round += 1) {
        progress(`bare loop and Keystead, round ${round} of ${ROUNDS}`);
        // Neither shall meet the rows that the other, or its own last round, left behind.
        await owner.query("vacuum analyze bare.connections, keystead.connections");
        const next = randomBytes(32);
        bare.push(await rowsPerSecond(() => bareLoop(owner, key, next)));
        key = next;
        await rotateDataKey(vault, { environmentId, actor: { kind: "system", name: "bench" } });
        ours.push(await rowsPerSecond(() => reencrypt(vault, environmentId)));
      }
      return findings(bare, ours);
    } finally {
      await owner.end();
    }
  },
};

function findings(bare: readonly number[], ours: readonly number[]): Findings {
  const ratio = median(ours.map((rate, round) => rate / (bare[round] ?? Number.NaN)));
  return {
    rows: [
      ["", "connections/s", "each round"],
      rowOf("decrypt + encrypt + batched update", bare),
      rowOf("Keystead", ours),
    ],
    checks: [
      { what: "connections a second against the bare loop", measured: ratio, limit: { atLeast: 0.5 }, unit: "x" },
    ],
    method: [
      `${CONNECTIONS.toLocaleString("en")} connections of one environment with a token of 1,000 characters and a config each, all of them taken to another key.`,
      `The bare loop works on a copy of the table with the same rows and indexes and without guards: it selects ${BATCH} rows in the order of the primary key, decrypts and encrypts both values with additional data of about the same length, and updates them by one statement, over one connection. Keystead locks the rows, keeps its count of encryptions, and has each value's key checked by Postgres.`,
      `${ROUNDS} rounds, both in turn in every round; the ratio is the median of the rounds'.`,
    ],
  };
}

function rowOf(name: string, rates: readonly number[]): string[] {
  return [name, median(rates).toFixed(0), rates.map((rate) => rate.toFixed(0)).join(", ")];
}

async function rowsPerSecond(work: () => Promise<number>): Promise<number> {
  const startedAt = performance.now();
  const rows = await work();
  if (rows !== CONNECTIONS)
    throw new KeysteadError("internal_error", `${rows} of ${CONNECTIONS} rows were re-encrypted`);
  return rows / ((performance.now() - startedAt) / 1_000);
}

async function reencrypt(vault: Vault, environmentId: string): Promise<number> {
  const { reencrypted } = await reencryptEnvironment(vault, environmentId, new AbortController().signal);
  // Beside the connections: the integration has no client here, and there are variables, digest key and secret key.
  return Math.floor((reencrypted - 3) / 2);
}

/** The same rows under a key of the bare loop's own. */
async function copyFor(owner: Client): Promise<Buffer> {
  await owner.query("create schema bare");
  await owner.query("create table bare.connections (like keystead.connections including all)");
  await owner.query("insert into bare.connections overriding system value select * from keystead.connections");
  const key = randomBytes(32);
  await bareLoop(owner, undefined, key);
  return key;
}

interface BareRow {
  readonly connection_row_id: string;
  readonly credentials: string;
  readonly config: string;
}

/** What anybody would write who wants nothing but the values under another key. Without `from` their bytes are taken for the plaintext. */
async function bareLoop(owner: Client, from: Buffer | undefined, to: Buffer): Promise<number> {
  let after = "00000000-0000-0000-0000-000000000000";
  let done = 0;
  for (;;) {
    const { rows } = await owner.query<BareRow>(
      `select connection_row_id, encode(credentials_sealed, 'base64') as credentials, encode(config_sealed, 'base64') as config
         from bare.connections where connection_row_id > $1 order by environment_id, connection_row_id limit ${BATCH}`,
      [after],
    );
    const last = rows.at(-1);
    if (!last) return done;
    const values = rows.flatMap((row) => [
      row.connection_row_id,
      renew(row.credentials, from, to),
      renew(row.config, from, to),
    ]);
    const list = rows.map(
      (_, n) =>
        `($${n * 3 + 1}${n === 0 ? "::uuid" : ""}, $${n * 3 + 2}${n === 0 ? "::bytea" : ""}, $${n * 3 + 3}${n === 0 ? "::bytea" : ""})`,
    );
    await owner.query(
      `update bare.connections c set credentials_sealed = i.credentials, config_sealed = i.config
         from (values ${list.join(",")}) as i (id, credentials, config) where c.connection_row_id = i.id`,
      values,
    );
    after = last.connection_row_id;
    done += rows.length;
  }
}

/** About as long as those of Keystead. */
const ADDITIONAL_DATA = Buffer.alloc(100, 1);

function renew(stored: string, from: Buffer | undefined, to: Buffer): Buffer {
  const old = Buffer.from(stored, "base64");
  const header = old.subarray(0, HEADER_BYTES);
  const plaintext = from ? open(old, from) : old.subarray(HEADER_BYTES + IV_BYTES + TAG_BYTES);
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv("aes-256-gcm", to, iv, { authTagLength: TAG_BYTES });
  cipher.setAAD(ADDITIONAL_DATA);
  const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  return Buffer.concat([header, iv, cipher.getAuthTag(), ciphertext]);
}

function open(sealed: Buffer, key: Buffer): Buffer {
  const tagStart = HEADER_BYTES + IV_BYTES;
  const decipher = createDecipheriv("aes-256-gcm", key, sealed.subarray(HEADER_BYTES, tagStart), {
    authTagLength: TAG_BYTES,
  });
  decipher.setAAD(ADDITIONAL_DATA);
  decipher.setAuthTag(sealed.subarray(tagStart, tagStart + TAG_BYTES));
  return Buffer.concat([decipher.update(sealed.subarray(tagStart + TAG_BYTES)), decipher.final()]);
}
