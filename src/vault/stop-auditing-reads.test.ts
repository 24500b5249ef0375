import { expect, test } from "vitest";
import { createTestVault, storeExample } from "../../test/support/vault.ts";
import { readConnection } from "./read-connection.ts";
import { readEnvironmentVariables } from "./read-environment-variables.ts";
import { readIntegration } from "./read-integration.ts";
import { stopAuditingReads } from "./stop-auditing-reads.ts";

test("with reads off nothing that is read leaves an event, every answer is the same, and that they are off is an event", async () => {
  await using context = await createTestVault();
  const { keyDigest } = await storeExample(context.vault);
  const question = { keyDigest, providerConfigKey: "github", connectionId: "acme", address: "10.0.0.1" };
  const silent = await stopAuditingReads(context.vault, "keystead api");
  expect(await readConnection(silent, question)).toEqual(await readConnection(context.vault, question));
  await readConnection(silent, question);
  await readEnvironmentVariables(silent, { keyDigest });
  await readIntegration(silent, { keyDigest, uniqueKey: "github", withClient: true });
  await context.database.query("update keystead.key_digests set scopes = '{connections:read}'");
  expect(await readConnection(silent, question)).toMatchObject({ connection: { credentials: undefined } });
  const events = await context.database.query(
    "select action, actor from keystead.audit_events where action like '%read%' order by event_id",
  );
  expect(events).toEqual([
    { action: "audit.reads-off", actor: "keystead api" },
    { action: "connection.credentials-read", actor: expect.any(String) },
  ]);
});
