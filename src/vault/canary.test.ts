import { expect, test } from "vitest";
import {
  createTestVault,
  desiredConnection,
  desiredEnvironment,
  desiredIntegration,
  storeParents,
} from "../../test/support/vault.ts";
import { actorOf, idsOf } from "../../test/support/vault.ts";
import { Secret } from "../crypto/secret.ts";
import { tokenDigest } from "../crypto/token.ts";
import { openDatabase } from "../db/database.ts";
import { readConnection } from "./read-connection.ts";
import { readEnvironmentVariables } from "./read-environment-variables.ts";
import { readIntegration } from "./read-integration.ts";
import { softDeleteEnvironment } from "./soft-delete-environment.ts";
import { storeConnection } from "./store-connection.ts";
import { storeEnvironment } from "./store-environment.ts";
import { storeIntegration } from "./store-integration.ts";

const CANARY = "canary-6e1f";

test("bad case 36: nobody who reads every table finds a secret, in whatever column or encoding", async () => {
  await using context = await createTestVault();
  const { vault } = context;
  const variables = [{ name: "WEBHOOK", value: new Secret(`${CANARY}-variable`) }];
  const environment = desiredEnvironment({ variables });
  const { id: environmentId, secretKey } = await storeEnvironment(vault, environment);
  const client = { type: "OAUTH2", client_secret: `${CANARY}-client` };
  const integration = desiredIntegration({ environmentId, environmentUid: environment.owner.uid }, { client });
  const { id: integrationId } = await storeIntegration(vault, integration);
  const keyDigest = tokenDigest(secretKey.reveal());
  const desired = desiredConnection(idsOf({ environmentId, integrationId, keyDigest, environment, integration }), {
    credentials: { type: "API_KEY", value: { type: "API_KEY", apiKey: `${CANARY}-key` } },
    config: { subdomain: `${CANARY}-config` },
  });
  await storeConnection(vault, desired);
  await storeConnection(vault, { ...desired, config: { subdomain: `${CANARY}-config-2` } });
  await readConnection(vault, { keyDigest, providerConfigKey: "github", connectionId: "acme", address: "10.0.0.1" });
  await readEnvironmentVariables(vault, { keyDigest });
  await readIntegration(vault, { keyDigest, uniqueKey: "github", withClient: true });
  await softDeleteEnvironment(vault, environment.owner.uid, actorOf(environment.owner));

  const dump = await dumpOf(context.ownerUrl);
  // The dump is what it claims to be: what is no secret is in it.
  expect(dump).toContain(environmentId);
  expect(dump).toContain("connection.credentials-read");
  for (const secret of [CANARY, secretKey.reveal(), secretKey.reveal().slice("ks_sk_".length), context.keyText]) {
    for (const form of formsOf(secret)) expect(dump).not.toContain(form);
  }
});

/** As text, as bytes are printed, and as base64 at each of the three positions it can have within a longer text. */
function formsOf(secret: string): string[] {
  const base64 = [0, 1, 2].map((shift) => {
    const text = Buffer.from("x".repeat(shift) + secret).toString("base64");
    // The first digits depend on what stands before, the last ones on what follows.
    return text.slice(shift === 0 ? 0 : 4, -4);
  });
  return [secret, Buffer.from(secret).toString("hex"), ...base64];
}

/** Every row of every table as text; bytes as hexadecimal. */
async function dumpOf(ownerUrl: string): Promise<string> {
  await using owner = openDatabase({ url: new Secret(ownerUrl), applicationName: "owner", poolSize: 1 });
  const tables = await owner.query<{ name: string }>(
    "select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname = 'keystead'",
  );
  const dumps = await Promise.all(tables.map(({ name }) => owner.query(`select t::text as row from ${name} t`)));
  return JSON.stringify(dumps);
}

test("no audit event knows anything of an end user, nor a value of what changed", async () => {
  await using context = await createTestVault();
  const { vault } = context;
  const parents = await storeParents(vault);
  const desired = desiredConnection(idsOf(parents), {
    connectionId: `${CANARY}-id`,
    endUser: { id: `${CANARY}-user`, email: `${CANARY}@acme.example`, displayName: CANARY },
    metadata: { [`${CANARY}-name`]: CANARY },
    tags: { [`${CANARY}-tag`]: CANARY },
    config: { [`${CANARY}-setting`]: CANARY },
  });
  await storeConnection(vault, desired);
  await storeConnection(vault, { ...desired, config: {}, tags: {}, metadata: {}, endUser: { id: `${CANARY}-other` } });
  await readConnection(vault, {
    keyDigest: parents.keyDigest,
    providerConfigKey: "github",
    connectionId: `${CANARY}-id`,
    address: "10.0.0.1",
  });
  await softDeleteEnvironment(vault, parents.environment.owner.uid, actorOf(parents.environment.owner));
  const events = await context.database.query("select e::text as row from keystead.audit_events e order by event_id");
  expect(events.length).toBeGreaterThan(6);
  for (const form of formsOf(CANARY)) expect(JSON.stringify(events)).not.toContain(form);
});
