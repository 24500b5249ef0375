import * as fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { actorOf, apiKey, createTestVault, storeExample } from "../../test/support/vault.ts";
import type { TestVault } from "../../test/support/vault.ts";
import { listConnections } from "./list-connections.ts";
import { listIntegrations } from "./list-integrations.ts";
import { readConnection } from "./read-connection.ts";
import { readEnvironmentVariables } from "./read-environment-variables.ts";
import { readIntegration } from "./read-integration.ts";
import { softDeleteConnection } from "./soft-delete-connection.ts";
import { softDeleteEnvironment } from "./soft-delete-environment.ts";
import { softDeleteIntegration } from "./soft-delete-integration.ts";
import { storeConnection } from "./store-connection.ts";
import { storeEnvironment } from "./store-environment.ts";
import { storeIntegration } from "./store-integration.ts";

type Example = Awaited<ReturnType<typeof storeExample>>;

/** Everything one can do with what one environment has. */
const DEEDS: Readonly<Record<string, (vault: TestVault["vault"], own: Example) => Promise<unknown>>> = {
  read: (vault, { keyDigest }) =>
    readConnection(vault, { keyDigest, providerConfigKey: "github", connectionId: "acme" }),
  list: (vault, { keyDigest }) => listConnections(vault, { keyDigest, limit: 100, offset: 0 }),
  listIntegrations: (vault, { keyDigest }) => listIntegrations(vault, { keyDigest }),
  readClient: (vault, { keyDigest }) => readIntegration(vault, { keyDigest, uniqueKey: "github", withClient: true }),
  readVariables: (vault, { keyDigest }) => readEnvironmentVariables(vault, { keyDigest }),
  edit: (vault, { desired }) => storeConnection(vault, { ...desired, credentials: apiKey("edited") }),
  editIntegration: (vault, { integration }) => storeIntegration(vault, { ...integration, displayName: "edited" }),
  editEnvironment: (vault, { environment }) => storeEnvironment(vault, { ...environment, retentionSeconds: 1 }),
  deleteConnection: (vault, { desired: { owner } }) => softDeleteConnection(vault, owner.uid, actorOf(owner)),
  deleteIntegration: (vault, { integration: { owner } }) => softDeleteIntegration(vault, owner.uid, actorOf(owner)),
  deleteEnvironment: (vault, { environment: { owner } }) => softDeleteEnvironment(vault, owner.uid, actorOf(owner)),
};

let context: TestVault;

beforeAll(async () => {
  context = await createTestVault();
});

afterAll(() => context[Symbol.asyncDispose]());

test("whatever is done with one environment, nothing of another of the same names is told, changed or recorded", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom(...Object.keys(DEEDS)), { minLength: 1, maxLength: 8 }),
      async (names) => {
        const own = await storeExample(context.vault);
        const other = await storeExample(context.vault);
        const before = await everythingOf(other);
        const told: unknown[] = [];
        for (const name of names) {
          // What was deleted before cannot be edited: that is an answer as well.
          told.push(await DEEDS[name]?.(context.vault, own).catch((thrown: unknown) => thrown));
        }
        expect(await everythingOf(other)).toBe(before);
        expect(JSON.stringify(told)).not.toMatch(
          new RegExp([other.environmentId, other.stored.id, other.integrationId].join("|")),
        );
      },
    ),
    { numRuns: 40 },
  );
});

/** All rows of an environment in all tables, audit events included. */
async function everythingOf({ environmentId }: Example): Promise<string> {
  const tables = ["environments", "data_keys", "data_key_wrappings", "secret_keys", "key_digests", "integrations"];
  const rows = await Promise.all(
    [...tables, "connections", "audit_events"].map((table) =>
      context.database.query(`select t::text as row from keystead.${table} t where environment_id = $1 order by 1`, [
        environmentId,
      ]),
    ),
  );
  return JSON.stringify(rows);
}
