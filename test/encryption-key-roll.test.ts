import { randomBytes } from "node:crypto";
import { afterAll, expect, test } from "vitest";
import { createKeyEncryptionKeys } from "../src/crypto/kek.ts";
import { Secret } from "../src/crypto/secret.ts";
import { type Application, applicationOf } from "./support/application.ts";
import { query } from "./support/database.ts";
import { createInstallation } from "./support/keystead.ts";
import { startProcess } from "./support/keystead-process.ts";
import { canary } from "./support/leaks.ts";
import { connection, environment, integration, secret } from "./support/resources.ts";

// The operator's key is changed while everything runs: add the new one, roll, retire the old one.

const installation = await createInstallation("key-roll");
const { objects, database } = installation;
const OLD = installation.environment["KEYSTEAD_ENCRYPTION_KEY"] ?? "";
const NEW = randomBytes(32).toString("base64");
const ONLY_OLD = { KEYSTEAD_LEADER_ELECTION: "false" };
const BOTH = { ...ONLY_OLD, KEYSTEAD_ENCRYPTION_KEY: NEW, KEYSTEAD_PREVIOUS_ENCRYPTION_KEYS: OLD };
const ONLY_NEW = { ...ONLY_OLD, KEYSTEAD_ENCRYPTION_KEY: NEW };
const COMPLETE = "every data key is wrapped under this encryption key";
afterAll(() => installation[Symbol.asyncDispose]());

test(
  "bad case 14: the encryption key is changed under way, replicas with the old and the new setting serving side by side",
  { timeout: 120_000 },
  async () => {
    const oldController = installation.start("controller", ONLY_OLD);
    const oldApi = installation.start("api", ONLY_OLD);
    const before = await addEnvironment("before");
    await expectServed(oldApi, before);

    // The first replica with the new setting serves what the old ones stored, and what they go on to store.
    const newApi = installation.start("api", BOTH);
    const during = await addEnvironment("during");
    for (const one of [before, during]) await expectServed(newApi, one);
    expect(await newApi.logged(COMPLETE)).toMatchObject({ key: idOf(NEW) });

    // The controller is rolled as well; the replica with the old setting serves what the new one stores.
    await oldController.end();
    const newController = installation.start("controller", BOTH);
    const after = await addEnvironment("after");
    await objects.apply(secret("before", { token: canary("token-of-before-2") }));
    for (const one of [before, during, after]) await expectServed(oldApi, one);
    await oldApi.end();
    await newApi.end();
    await newController.end();

    // Then the old key leaves the settings.
    const finalApi = installation.start("api", ONLY_NEW);
    for (const one of [before, during, after]) await expectServed(finalApi, one);
  },
);

test("keystead keys shows how many data keys each key wraps, and what keeps a key from being retired", async () => {
  const shown = await keystead(["keys"], BOTH);
  expect(shown.status).toBe(0);
  const [head = "", ...lines] = shown.output.trimEnd().split("\n");
  expect(head).toBe(
    "FINGERPRINT        CONFIGURED HERE   STATE   DATA KEYS   ALONE   LAST CONFIGURED        CAN BE RETIRED",
  );
  expect(lines.map((line) => line.replace(/\d{4}-\S+Z/, "TIME"))).toEqual([
    expect.stringMatching(
      new RegExp(`^${idOf(OLD)} {3}previous {10}known {3}3 of 3 {6}0 {7}TIME {3}no: it is configured here$`),
    ),
    expect.stringMatching(
      new RegExp(`^${idOf(NEW)} {3}current {11}known {3}3 of 3 {6}0 {7}TIME {3}no: it is configured here$`),
    ),
  ]);

  const json = await keystead(["keys", "-o", "json"], ONLY_NEW);
  expect(JSON.parse(json.output)).toMatchObject({
    dataKeys: 3,
    keys: [
      { keyId: idOf(OLD), configured: "no", state: "known", dataKeys: 3, alone: 0 },
      { keyId: idOf(NEW), configured: "current", state: "known", dataKeys: 3, alone: 0 },
    ],
  });
});

test("the old key is retired once no process has it, and opens nothing from then on", async () => {
  const early = await keystead(["keys", "retire", idOf(OLD)], ONLY_NEW);
  expect(early).toMatchObject({ status: 1, output: expect.stringContaining("a running process had it configured") });
  // Three minutes later.
  await query(
    database.ownerUrl,
    "update keystead.key_encryption_keys set configured_at = now() - interval '3 minutes'",
  );
  expect(await keystead(["keys", "retire", idOf(OLD)], ONLY_NEW)).toEqual({
    status: 0,
    output: `Encryption key ${idOf(OLD)} is retired: 3 wrappings under it are gone.\n`,
  });
  const refused = installation.start("api", ONLY_OLD);
  expect(await refused.exit).toBe(1);
  expect(refused.output()).toContain(`${idOf(OLD)} was retired`);
  expect((await keystead(["keys", "retire", idOf(NEW)], ONLY_NEW)).output).toContain("encryption_key_in_use");
});

test("a replica that is rolled back to both keys after the retirement serves, and says that the old one is to be removed", async () => {
  const rolledBack = installation.start("api", {
    ...BOTH,
    KEYSTEAD_ENCRYPTION_KEY: OLD,
    KEYSTEAD_PREVIOUS_ENCRYPTION_KEYS: NEW,
  });
  expect(await rolledBack.logged("these encryption keys were retired: remove them from the settings")).toMatchObject({
    keys: [idOf(OLD)],
  });
  const wrapped = await query(database.ownerUrl, "select distinct key_id from keystead.data_key_wrappings");
  expect(wrapped).toEqual([{ key_id: idOf(NEW) }]);
});

test("keystead keys refuses what it does not understand", async () => {
  for (const args of [
    ["keys", "-o", "yaml"],
    ["keys", "retire"],
    ["keys", "remove", "a"],
    ["keys", "--check"],
  ])
    expect((await keystead(args, ONLY_NEW)).status).toBe(2);
});

interface Served {
  readonly name: string;
  readonly token: string;
}

async function addEnvironment(name: string): Promise<Served> {
  const token = canary(`token-of-${name}`);
  await objects.apply(
    environment(name),
    integration(`stripe-${name}`, name),
    secret(name, { token }),
    connection(name, { environment: name, integration: `stripe-${name}` }),
  );
  await objects.ready(`connection/${name}`);
  return { name, token };
}

async function expectServed(process: ReturnType<typeof installation.start>, { name }: Served): Promise<void> {
  const application: Application = await applicationOf(installation, process, name);
  expect(await application.credentials(name, `stripe-${name}`)).toMatchObject({ type: "API_KEY" });
}

function idOf(key: string): string {
  return createKeyEncryptionKeys(new Secret(key)).ids[0] ?? "";
}

async function keystead(args: readonly string[], settings: Readonly<Record<string, string>>) {
  const process = startProcess(args, { ...installation.environment, ...settings });
  const status = await process.exit;
  return { status, output: process.output() };
}
