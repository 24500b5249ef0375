import { expect, test } from "vitest";
import { withClient } from "../../test/support/database.ts";
import {
  apiKey,
  createTestVault,
  desiredConnection,
  idsOf,
  storeExample,
  storeParents,
} from "../../test/support/vault.ts";
import type { TestVault } from "../../test/support/vault.ts";
import { Secret } from "../crypto/secret.ts";
import { createRekeyer } from "./rekeyer.ts";
import type { Vault } from "../vault/context.ts";
import { readConnection } from "../vault/read-connection.ts";
import { readEnvironmentSecretKey } from "../vault/read-environment-secret-key.ts";
import { reencryptEnvironment } from "../vault/reencrypt-environment.ts";
import { rotateDataKey } from "../vault/rotate-data-key.ts";
import { SEALED_TABLES } from "../vault/sealed-tables.ts";
import { softDeleteConnection } from "../vault/soft-delete-connection.ts";
import { storeConnection } from "../vault/store-connection.ts";
import { storeEnvironment } from "../vault/store-environment.ts";
import { storeIntegration } from "../vault/store-integration.ts";

const ACTOR = { kind: "system", name: "test" } as const;
const ACME = { providerConfigKey: "github", connectionId: "acme" };
const NEVER = new AbortController().signal;

test("after a rotation everything is under the new key, soft-deleted rows too, and the old key is destroyed", async () => {
  await using context = await createTestVault();
  const { stored, ...parents } = await storeExample(context.vault);
  const { environmentId, keyDigest } = parents;
  const gone = desiredConnection(idsOf(parents), { connectionId: "gone" });
  await storeConnection(context.vault, gone);
  await softDeleteConnection(context.vault, gone.owner.uid, ACTOR);
  const secretKey = await readEnvironmentSecretKey(context.vault, environmentId);
  const old = await keysInUse(context, environmentId);
  expect(old.size).toBe(1);

  expect(await rotateDataKey(context.vault, { environmentId, actor: ACTOR, token: "1" })).toBe(true);
  await rekeyTwice(context, context.vault);
  const now = await keysInUse(context, environmentId);
  expect(now.size).toBe(1);
  expect(now).not.toEqual(old);
  expect(await context.database.query("select data_key_id, state from keystead.data_keys")).toEqual([
    { data_key_id: [...now][0], state: "active" },
  ]);
  // With nothing in memory, and with what was in memory all along.
  for (const vault of [await context.another(), context.vault]) {
    const read = await readConnection(vault, { ...ACME, keyDigest });
    expect(read).toMatchObject({ kind: "found", connection: { id: stored.id } });
    expect(read.kind === "found" && read.connection.credentials?.reveal()).toContain("token-of-acme");
    expect((await readEnvironmentSecretKey(vault, environmentId)).reveal()).toBe(secretKey.reveal());
  }
});

test("a resource that was settled before a rotation is settled after it: nothing is declared anew, no revision moves", async () => {
  await using context = await createTestVault();
  const { environmentId, environment, integration, desired, stored } = await storeExample(context.vault);
  await rotateDataKey(context.vault, { environmentId, actor: ACTOR, token: "1" });
  await rekeyTwice(context, context.vault);
  expect(await storeConnection(context.vault, desired)).toEqual({ ...stored, changed: false });
  expect(await storeIntegration(context.vault, integration)).toMatchObject({ changed: false, revision: 1 });
  expect(await storeEnvironment(context.vault, environment)).toMatchObject({ changed: false, revision: 1 });
});

test("a token rotates once, however often and by however many it is brought; another one rotates again", async () => {
  await using context = await createTestVault();
  const { environmentId } = await storeExample(context.vault);
  const others = await Promise.all([context.another(), context.another()]);
  const rotate = (vault: Vault, token: string) => rotateDataKey(vault, { environmentId, actor: ACTOR, token });
  const outcomes = await Promise.all([context.vault, ...others].map((vault) => rotate(vault, "a")));
  expect(outcomes.filter(Boolean)).toHaveLength(1);
  expect(await rotate(context.vault, "a")).toBe(false);
  expect(await rotate(context.vault, "b")).toBe(true);
  expect(await rotate(context.vault, "a")).toBe(true);
  const events = await context.database.query(
    "select actor from keystead.audit_events where action = 'environment.data-key-rotated'",
  );
  expect(events).toHaveLength(3);
});

test("a replica that has the old key in memory writes under the new one from the commit on", async () => {
  await using context = await createTestVault();
  const { desired, ...parents } = await storeExample(context.vault);
  const { environmentId, integration, environment } = parents;
  const replica = await context.another();
  await storeConnection(replica, { ...desired, credentials: apiKey("before") });
  await rotateDataKey(context.vault, { environmentId, actor: ACTOR, token: "1" });

  const fresh = desiredConnection(idsOf(parents), { connectionId: "fresh" });
  await Promise.all([
    storeConnection(replica, { ...desired, credentials: apiKey("after"), config: { subdomain: "new" } }),
    storeConnection(replica, fresh),
  ]);
  const stale = await context.another();
  await stale.environmentKeys.of(environmentId);
  await rotateDataKey(context.vault, { environmentId, actor: ACTOR, token: "2" });
  await storeIntegration(stale, { ...integration, client: { type: "OAUTH2", client_id: "other" } });
  const again = await context.another();
  await again.environmentKeys.of(environmentId);
  await rotateDataKey(context.vault, { environmentId, actor: ACTOR, token: "3" });
  await storeEnvironment(again, {
    ...environment,
    variables: [{ name: "REGION", value: new Secret("us") }],
    declaration: { variables: [{ name: "REGION", value: "us" }] },
  });
  const [active] = await context.database.query<{ data_key_id: string }>(
    "select data_key_id from keystead.data_keys where state = 'active'",
  );
  const [row] = await context.database.query(
    "select keystead.data_key_of(variables_sealed) as key from keystead.environments",
  );
  expect(row).toEqual({ key: active?.data_key_id });
  await rekeyTwice(context, context.vault);
  expect(await keysInUse(context, environmentId)).toEqual(new Set([active?.data_key_id]));
});

test("no value comes under a replaced key again, by whatever statement", async () => {
  await using context = await createTestVault();
  const { environmentId } = await storeExample(context.vault);
  const kept = await context.database.query<{ config_sealed: Buffer; credentials_sealed: Buffer }>(
    "select config_sealed, credentials_sealed from keystead.connections",
  );
  await rotateDataKey(context.vault, { environmentId, actor: ACTOR, token: "1" });
  await reencryptEnvironment(context.vault, environmentId, NEVER);
  for (const column of ["config_sealed", "credentials_sealed"] as const) {
    await expect(
      context.database.query(`update keystead.connections set ${column} = $1`, [kept[0]?.[column] ?? null]),
    ).rejects.toMatchObject({ code: "data_key_replaced", retryable: true });
  }
  await expect(
    context.database.query(
      `insert into keystead.secret_keys (environment_id, secret_key_id, name, secret_key_sealed, secret_key_revision, fingerprint)
       values ($1, $1, 'more', $2, 1, '')`,
      [environmentId, kept[0]?.config_sealed ?? null],
    ),
  ).rejects.toMatchObject({ code: "data_key_replaced" });
});

test("an old key is not destroyed before a write under it has ended, and what it wrote is taken along", async () => {
  await using context = await createTestVault();
  const { environmentId, stored, keyDigest } = await storeExample(context.vault);
  await withClient(context.url, async (writer) => {
    // A write of an old replica that sealed and looked before the rotation, and commits long after it.
    await writer.query("begin");
    await writer.query("select keystead.hold_active_data_key($1, (select data_key_id from keystead.data_keys))", [
      environmentId,
    ]);
    await writer.query("update keystead.connections set tags = '{}' where connection_row_id = $1", [stored.id]);
    await rotateDataKey(context.vault, { environmentId, actor: ACTOR, token: "1" });
    let ended = false;
    const rekeying = rekey(context.vault).finally(() => (ended = true));
    await waiting(context);
    expect(ended).toBe(false);
    await writer.query("commit");
    await rekeying;
  });
  await minuteLater(context);
  await rekey(context.vault);
  expect((await keysInUse(context, environmentId)).size).toBe(1);
  expect(await readConnection(await context.another(), { ...ACME, keyDigest })).toMatchObject({ kind: "found" });
});

test("writers, readers, three rekeyers and rotations at once: nothing is lost, and at the end one key is left", async () => {
  await using context = await createTestVault();
  const parents = await storeParents(context.vault);
  const { environmentId, keyDigest } = parents;
  const all = Array.from({ length: 60 }, (_, n) => desiredConnection(idsOf(parents), { connectionId: `c${n}` }));
  await Promise.all(all.map((desired) => storeConnection(context.vault, desired)));
  const replicas = await Promise.all([context.another(), context.another(), context.another()]);
  const edits = async (): Promise<void> => {
    for (let round = 0; round < 6; round += 1) {
      const writer = replicas[round % 3] ?? context.vault;
      await Promise.all(
        all.map((desired) =>
          storeConnection(writer, { ...desired, credentials: apiKey(`${desired.connectionId}-${round}`) }),
        ),
      );
    }
  };
  const rotations = async (): Promise<void> => {
    for (const token of ["1", "2", "3", "4"]) {
      await rotateDataKey(context.vault, { environmentId, actor: ACTOR, token });
      await Promise.all(replicas.map((replica) => rekey(replica)));
    }
  };
  const reads = async (): Promise<void> => {
    for (let round = 0; round < 20; round += 1) {
      const read = await readConnection(context.vault, { keyDigest, providerConfigKey: "github", connectionId: "c7" });
      expect(read.kind === "found" && read.connection.credentials?.reveal()).toMatch(/c7-\d|token-of-acme/);
    }
  };
  await Promise.all([edits(), rotations(), reads()]);
  await rekeyTwice(context, context.vault);
  expect((await keysInUse(context, environmentId)).size).toBe(1);
  expect(await context.database.query("select from keystead.data_keys")).toHaveLength(1);
  const last = await context.another();
  for (const { connectionId } of all) {
    const read = await readConnection(last, { keyDigest, providerConfigKey: "github", connectionId });
    expect(read.kind === "found" && read.connection.credentials?.reveal()).toContain(`${connectionId}-5`);
  }
});

test("a value that does not open keeps the old key, is told once, and holds up nothing else", async () => {
  await using context = await createTestVault();
  const example = await storeExample(context.vault);
  const { environmentId, keyDigest } = example;
  const broken = desiredConnection(idsOf(example), { connectionId: "broken" });
  await storeConnection(context.vault, broken);
  await context.database.query(
    "update keystead.connections set config_sealed = set_byte(config_sealed, 50, get_byte(config_sealed, 50) # 1) where connection_id = 'broken'",
  );
  await rotateDataKey(context.vault, { environmentId, actor: ACTOR, token: "1" });
  const warnings: object[] = [];
  const worker = rekeyerOf(context.vault, (fields) => warnings.push(fields));
  await worker.run(NEVER);
  await worker.run(NEVER);
  expect(warnings).toEqual([{ environmentId, rows: 1 }]);
  expect(await context.database.query("select from keystead.data_keys")).toHaveLength(2);
  expect(await readConnection(context.vault, { ...ACME, keyDigest })).toMatchObject({ kind: "found" });

  await storeConnection(context.vault, { ...broken, config: { subdomain: "mended" } });
  await rekeyTwice(context, context.vault);
  expect(await context.database.query("select from keystead.data_keys")).toHaveLength(1);
});

test("an old key is destroyed a minute after its last value at the earliest, with an audit event", async () => {
  await using context = await createTestVault();
  const { environmentId } = await storeExample(context.vault);
  await rotateDataKey(context.vault, { environmentId, actor: ACTOR, token: "1" });
  await rekey(context.vault);
  await rekey(context.vault);
  expect(await context.database.query("select from keystead.data_keys")).toHaveLength(2);
  await minuteLater(context);
  await rekey(context.vault);
  expect(await context.database.query("select from keystead.data_keys")).toHaveLength(1);
  const events = await context.database.query(
    "select action, actor from keystead.audit_events where action like '%data-key%' order by event_id",
  );
  expect(events).toEqual([
    { action: "environment.data-key-rotated", actor: "test" },
    { action: "environment.data-key-destroyed", actor: "rekeyer" },
  ]);
});

test("a data key that comes near its 2^32 encryptions is replaced by itself, once, by whichever replica", async () => {
  await using context = await createTestVault();
  const { environmentId, desired } = await storeExample(context.vault);
  await context.database.query("update keystead.data_keys set encryption_count = $1", [2 ** 31]);
  const replicas = await Promise.all([context.another(), context.another()]);
  await Promise.all([context.vault, ...replicas].map((vault) => rekey(vault)));
  await rekeyTwice(context, context.vault);
  const counts = await context.database.query<{ encryption_count: number }>(
    "select encryption_count from keystead.data_keys",
  );
  expect(counts).toHaveLength(1);
  expect(counts[0]?.encryption_count).toBeLessThan(100_000);
  expect((await keysInUse(context, environmentId)).size).toBe(1);
  expect(
    await storeConnection(replicas[0] ?? context.vault, { ...desired, credentials: apiKey("next") }),
  ).toMatchObject({
    changed: true,
  });
});

test("every column of the schema that holds sealed values is re-encrypted and guarded", async () => {
  await using context = await createTestVault();
  const columns = await context.database.query<{ column: string }>(
    `select table_name || '.' || column_name as column from information_schema.columns
      where table_schema = 'keystead' and column_name like '%\\_sealed' order by 1`,
  );
  const known = SEALED_TABLES.flatMap(({ name, columns: sealed }) => sealed.map((column) => `${name}.${column.name}`));
  expect(columns.map(({ column }) => column)).toEqual(known.toSorted());
  const guarded = await context.database.query<{ table: string }>(
    `select distinct event_object_table as table from information_schema.triggers
      where trigger_schema = 'keystead' and trigger_name = 'guard_changed_values' order by 1`,
  );
  expect(guarded.map(({ table }) => table)).toEqual(SEALED_TABLES.map(({ name }) => name).toSorted());
});

const nothing = (): void => undefined;

function rekeyerOf(vault: Vault, warned: (fields: object) => void = nothing) {
  return createRekeyer({
    vault,
    log: { info: nothing, warn: warned },
    metrics: { retired: nothing, reencrypted: nothing, destroyed: nothing },
  });
}

async function rekey(vault: Vault): Promise<void> {
  await rekeyerOf(vault).run(NEVER);
}

/** Everything is taken to the new key by the first turn, and a minute later the old one is destroyed. */
async function rekeyTwice(context: TestVault, vault: Vault): Promise<void> {
  await rekey(vault);
  await minuteLater(context);
  await rekey(vault);
}

async function minuteLater({ database }: TestVault): Promise<void> {
  await database.query("update keystead.data_keys set unused_since = unused_since - interval '1 minute'");
}

/** Every data key that a sealed value of the environment names. */
async function keysInUse({ database }: TestVault, environmentId: string): Promise<Set<string>> {
  const columns = SEALED_TABLES.flatMap(({ name, columns: sealed }) =>
    sealed.map(
      (column) =>
        `select keystead.data_key_of(${column.name}) as key from keystead.${name} where environment_id = $1 and ${column.name} is not null`,
    ),
  );
  const rows = await database.query<{ key: string }>(columns.join(" union "), [environmentId]);
  return new Set(rows.map(({ key }) => key));
}

/** Resolves when a session waits for a lock. */
async function waiting({ database }: TestVault): Promise<void> {
  for (;;) {
    const blocked = await database.query(
      "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
    );
    if (blocked.length > 0) return;
  }
}
