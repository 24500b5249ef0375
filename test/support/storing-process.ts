import { text } from "node:stream/consumers";
import { createKeyEncryptionKeys } from "../../src/crypto/kek.ts";
import { Secret } from "../../src/crypto/secret.ts";
import { openDatabase } from "../../src/db/database.ts";
import type { DesiredConnection } from "../../src/vault/connection.ts";
import { storeConnection } from "../../src/vault/store-connection.ts";
import { openVault } from "../../src/vault/vault.ts";
import { beginReign } from "./vault.ts";

/*
 * A process of its own that stores connections and prints a line for each that is stored, to be killed by a test. Its
 * work comes as one JSON text on its standard input.
 */
interface Work {
  readonly url: string;
  readonly key: string;
  readonly connections: readonly DesiredConnection[];
}

const work: Work = JSON.parse(await text(process.stdin));
const database = openDatabase({ url: new Secret(work.url), applicationName: "storing-process" });
const keys = createKeyEncryptionKeys(new Secret(work.key));
const vault = await beginReign(await openVault({ database, keys }), "storing-process");
await Promise.all(
  work.connections.map(async (desired) => {
    await storeConnection(vault, desired);
    process.stdout.write(`${desired.connectionId}\n`);
  }),
);
await database[Symbol.asyncDispose]();
