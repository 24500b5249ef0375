import { randomBytes } from "node:crypto";
import { afterAll, expect, test } from "vitest";
import { createKeyEncryptionKeys } from "../src/crypto/kek.ts";
import { Secret } from "../src/crypto/secret.ts";
import { applicationOf } from "./support/application.ts";
import { takeBackup } from "./support/backup.ts";
import { query } from "./support/database.ts";
import { eventually } from "./support/eventually.ts";
import { createInstallation } from "./support/keystead.ts";
import { startProcess } from "./support/keystead-process.ts";
import { canary } from "./support/leaks.ts";
import { connection, environment, integration, secret } from "./support/resources.ts";

// What docs/backup-and-restore.md says, on one installation from its first day to the day after the restore.

const installation = await createInstallation("backup");
const { objects, database } = installation;
const OLD = installation.environment["KEYSTEAD_ENCRYPTION_KEY"] ?? "";
const NEW = randomBytes(32).toString("base64");
const ONLY_OLD = { KEYSTEAD_LEADER_ELECTION: "false" };
const ONLY_NEW = { ...ONLY_OLD, KEYSTEAD_ENCRYPTION_KEY: NEW };
const BOTH = { ...ONLY_NEW, KEYSTEAD_PREVIOUS_ENCRYPTION_KEYS: OLD };
const COMPLETE = "every data key is wrapped under this encryption key";
const parents = { environment: "production", integration: "stripe" };
const tokens = { before: canary("before-the-backup"), since: canary("since-the-backup"), later: canary("later") };
afterAll(() => installation[Symbol.asyncDispose]());

test(
  "bad case 14: after a restore of an older backup everything declared is served as the cluster says, under the new keys again",
  { timeout: 120_000 },
  async () => {
    // The day of the backup: one key, one connection, and one that was deleted.
    let keystead = installation.start("run", ONLY_OLD);
    await objects.apply(
      environment("production"),
      integration("stripe", "production"),
      secret("acme", { token: tokens.before }),
      connection("acme", parents),
      connection("gone", parents, { credentials: { apiKey: { apiKeyRef: { name: "acme", key: "token" } } } }),
    );
    await objects.ready("connection/acme", "connection/gone");
    await objects.delete("connection/gone");
    await keystead.end();
    const backup = await takeBackup(database.ownerUrl);

    // Since then: another encryption key, the old one retired, another data key, other credentials, a new connection.
    keystead = installation.start("run", BOTH);
    await keystead.logged(COMPLETE);
    await objects.apply(
      environment("production", {}, { annotations: { "keystead.dev/rotate-data-key": "after the leak" } }),
      secret("acme", { token: tokens.since }),
      secret("later", { token: tokens.later }),
      connection("later", parents),
    );
    await objects.ready("connection/later");
    await eventually(async () => expect(await handledToken()).toBe("after the leak"));
    await keystead.end();
    await query(database.ownerUrl, "update keystead.key_encryption_keys set configured_at = now() - interval '1 hour'");
    const retired = startProcess(["keys", "retire", idOf(OLD)], { ...installation.environment, ...ONLY_NEW });
    expect(await retired.exit).toBe(0);

    // The disaster. The Secret in the cluster is newer than the database: here by a key that it does not know.
    await backup.restore();
    const owner = {
      KEYSTEAD_DATABASE_OWNER_URL: database.ownerUrl,
      KEYSTEAD_DATABASE_RUNTIME_ROLE: "keystead_runtime",
    };
    const migrated = startProcess(["migrate"], { ...installation.environment, ...owner });
    expect(await migrated.exit, migrated.output()).toBe(0);
    await query(
      database.ownerUrl,
      "update keystead.connections set deleted_at = now() - interval '32 days' where deleted_at is not null",
    );
    await objects.patch("secret/production-keystead", {
      data: { KEYSTEAD_SECRET_KEY: Buffer.from("a newer key").toString("base64") },
    });
    const refused = installation.start("api", ONLY_NEW);
    expect(await refused.exit).toBe(1);
    for (const id of [idOf(OLD), idOf(NEW)]) expect(refused.output()).toContain(id);

    keystead = installation.start("run", BOTH);
    await keystead.logged(COMPLETE);
    await eventually(async () => {
      const application = await applicationOf(installation, keystead, "production");
      expect(await application.credentials("acme", "stripe")).toMatchObject({ apiKey: tokens.since });
      expect(await application.credentials("later", "stripe")).toMatchObject({ apiKey: tokens.later });
    });
    await eventually(async () => expect(await handledToken()).toBe("after the leak"));
    // What was deleted then and over its retention by now is purged in the first turn.
    await eventually(async () => {
      const deleted = await query(database.ownerUrl, "select from keystead.connections where deleted_at is not null");
      expect(deleted).toEqual([]);
    });
    await keystead.end();
    await installation.start("api", ONLY_NEW).logged("the API is served");
  },
);

test("bad case 14: an older image with the old key alone, in the middle of a roll, works, and what it makes is caught up with", async () => {
  const old = installation.start("run", ONLY_OLD);
  await objects.apply(
    environment("rolled-back"),
    integration("other", "rolled-back"),
    secret("b", { token: tokens.before }),
  );
  await objects.apply(connection("b", { environment: "rolled-back", integration: "other" }));
  await objects.ready("connection/b");
  await old.end();
  expect(await aloneUnder(OLD)).toBe(1);

  const rolledForward = installation.start("api", BOTH);
  const application = await applicationOf(installation, rolledForward, "rolled-back");
  expect(await application.credentials("b", "other")).toMatchObject({ apiKey: tokens.before });
  await eventually(async () => expect(await aloneUnder(OLD)).toBe(0));
});

async function handledToken(): Promise<unknown> {
  const [row] = await query<{ token: string | null }>(
    database.ownerUrl,
    "select last_handled_data_key_rotation as token from keystead.environments where name = 'production'",
  );
  return row?.token;
}

async function aloneUnder(key: string): Promise<unknown> {
  const listing = startProcess(["keys", "-o", "json"], { ...installation.environment, ...ONLY_NEW });
  expect(await listing.exit).toBe(0);
  const { keys }: { keys: { keyId: string; alone: number }[] } = JSON.parse(listing.output());
  return keys.find(({ keyId }) => keyId === idOf(key))?.alone;
}

function idOf(key: string): string {
  return createKeyEncryptionKeys(new Secret(key)).ids[0] ?? "";
}
