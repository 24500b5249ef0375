import { expect, test } from "vitest";
import { withClient } from "../../test/support/database.ts";
import { apiKey, createTestVault, desiredConnection, idsOf } from "../../test/support/vault.ts";
import { storeExample, type TestVault } from "../../test/support/vault.ts";
import { readConnection } from "./read-connection.ts";
import { readIntegration } from "./read-integration.ts";
import { storeConnection } from "./store-connection.ts";

/** Two connections of one environment, one of another, and their rows before and after an update. */
async function createScene() {
  const context = await createTestVault();
  const first = await storeExample(context.vault);
  const second = await storeConnection(
    context.vault,
    desiredConnection(idsOf(first), { connectionId: "second", credentials: apiKey("token-of-second") }),
  );
  const elsewhere = await storeExample(context.vault);
  // The triggers refuse some of what follows by themselves: an attacker who can switch them off gets no further.
  await withClient(context.ownerUrl, async (owner) => {
    for (const table of ["connections", "environments"])
      await owner.query(`alter table keystead.${table} disable trigger user`);
  });
  const read = (connectionId: string) =>
    readConnection(context.vault, { keyDigest: first.keyDigest, providerConfigKey: "github", connectionId });
  return {
    context,
    first,
    second,
    elsewhere,
    read,
    [Symbol.asyncDispose]: () => context[Symbol.asyncDispose](),
  };
}

const INVALID = { code: "sealed_value_invalid" };

test.each([
  ["credentials of another row", "credentials_sealed", "credentials_sealed", "second"],
  ["the config in the place of credentials", "credentials_sealed", "config_sealed", "first"],
  ["credentials in the place of the config", "config_sealed", "credentials_sealed", "first"],
  ["credentials of another environment's row", "credentials_sealed", "credentials_sealed", "elsewhere"],
] as const)("bad case 12: %s are refused, not served", async (_, target, source, from) => {
  await using scene = await createScene();
  const { context, first, second, elsewhere, read } = scene;
  const sourceId = { first: first.stored.id, second: second.id, elsewhere: elsewhere.stored.id }[from];
  await context.database.query(
    `update keystead.connections c set ${target} = s.${source}
       from keystead.connections s
      where c.connection_row_id = $1 and s.connection_row_id = $2`,
    [first.stored.id, sourceId],
  );
  await expect(read("acme")).rejects.toMatchObject(INVALID);
  expect(await read("second")).toMatchObject({ kind: "found" });
});

test("bad case 12: a client secret put into a connection is refused", async () => {
  await using scene = await createScene();
  const { context, first, read } = scene;
  await context.database.query(
    `update keystead.connections c set credentials_sealed = n.client_sealed
       from keystead.integrations n
      where n.environment_id = c.environment_id and c.connection_row_id = $1`,
    [first.stored.id],
  );
  await expect(read("acme")).rejects.toMatchObject(INVALID);
});

test("bad case 12: an older ciphertext put back into the newer row is refused", async () => {
  await using scene = await createScene();
  const { context, first, read } = scene;
  const old = await sealedOf(context, first.stored.id);
  await storeConnection(context.vault, { ...first.desired, credentials: apiKey("the newer token") });
  await context.database.query("update keystead.connections set credentials_sealed = $2 where connection_row_id = $1", [
    first.stored.id,
    old ?? Buffer.alloc(0),
  ]);
  await expect(read("acme")).rejects.toMatchObject(INVALID);
});

test.each([
  ["an empty value", () => Buffer.alloc(0)],
  ["the plaintext", () => Buffer.from('{"type":"API_KEY","apiKey":"an attacker\'s, long enough to be a value"}')],
  ["a tag cut to 12 bytes", (sealed: Buffer) => Buffer.concat([sealed.subarray(0, 41), sealed.subarray(45)])],
  ["a flipped bit", (sealed: Buffer) => Buffer.concat([sealed.subarray(0, -1), Buffer.of((sealed.at(-1) ?? 0) ^ 1)])],
])("bad case 12: %s in the column is refused, never read as plaintext", async (_, broken) => {
  await using scene = await createScene();
  const { context, first, read } = scene;
  const sealed = (await sealedOf(context, first.stored.id)) ?? Buffer.alloc(0);
  await context.database.query("update keystead.connections set credentials_sealed = $2 where connection_row_id = $1", [
    first.stored.id,
    broken(sealed),
  ]);
  await expect(read("acme")).rejects.toMatchObject(INVALID);
});

test("bad case 12: a data key of another environment opens nothing here, wrapped as it is", async () => {
  await using scene = await createScene();
  const { context, first, elsewhere } = scene;
  await context.database.query(
    `update keystead.environments e set digest_key_sealed = s.digest_key_sealed
       from keystead.environments s where e.environment_id = $1 and s.environment_id = $2`,
    [first.environmentId, elsewhere.environmentId],
  );
  const fresh = await context.another();
  const options = { keyDigest: first.keyDigest, uniqueKey: "github", withClient: true };
  await expect(readIntegration(fresh, options)).rejects.toMatchObject(INVALID);
});

test("bad case 12: a value that does not open is told to nobody, and that somebody asked for it is recorded", async () => {
  await using scene = await createScene();
  const { context, first, read } = scene;
  await context.database.query("update keystead.connections set config_sealed = ''");
  await expect(read("acme")).rejects.toMatchObject(INVALID);
  const reads = await context.database.query(
    "select target_id from keystead.audit_events where action = 'connection.credentials-read'",
  );
  expect(reads).toEqual([{ target_id: first.stored.id }]);
});

async function sealedOf(context: TestVault, id: string): Promise<Buffer | undefined> {
  const [row] = await context.database.query<{ credentials_sealed: Buffer }>(
    "select credentials_sealed from keystead.connections where connection_row_id = $1",
    [id],
  );
  return row?.credentials_sealed;
}
