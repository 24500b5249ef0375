import * as fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { actorOf, apiKey, createTestVault, desiredConnection, idsOf, storeParents } from "../../test/support/vault.ts";
import type { Parents, TestVault } from "../../test/support/vault.ts";
import type { DesiredConnection } from "./connection.ts";
import type { ReigningVault } from "./context.ts";
import { listConnections } from "./list-connections.ts";
import { readConnection } from "./read-connection.ts";
import { softDeleteConnection } from "./soft-delete-connection.ts";
import { storeConnection } from "./store-connection.ts";

/** One step that somebody takes, in one of two processes. */
type Step =
  | {
      readonly kind: "apply";
      readonly slot: number;
      readonly token: number;
      readonly team: number;
      readonly replica: number;
    }
  | { readonly kind: "delete"; readonly slot: number; readonly replica: number }
  | { readonly kind: "recreate"; readonly slot: number; readonly token: number; readonly replica: number };

const SLOTS = 3;
const slot = fc.nat({ max: SLOTS - 1 });
const token = fc.nat({ max: 2 });
const replica = fc.nat({ max: 1 });
const step = fc.oneof<fc.Arbitrary<Step>[]>(
  fc.record({ kind: fc.constant("apply" as const), slot, token, team: fc.nat({ max: 1 }), replica }),
  fc.record({ kind: fc.constant("delete" as const), slot, replica }),
  fc.record({ kind: fc.constant("recreate" as const), slot, token, replica }),
);

let shared: { readonly context: TestVault; readonly replicas: readonly ReigningVault[] };

beforeAll(async () => {
  const context = await createTestVault();
  shared = { context, replicas: [context.vault, await context.another()] };
});

afterAll(() => shared.context[Symbol.asyncDispose]());

test("whatever is applied, deleted and made anew, in whichever process: what is served is what was applied last", async () => {
  const { context, replicas } = shared;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async (steps) => {
      const parents = await storeParents(context.vault);
      const bystander = await storeParents(context.vault);
      const resources = Array.from({ length: SLOTS }, (_, n) =>
        desiredConnection(idsOf(parents), { connectionId: `c${n}` }),
      );
      const alive = new Map<string, DesiredConnection>();
      for (const taken of steps) await take(replicas[taken.replica] ?? context.vault, taken, resources, alive);
      for (const vault of replicas) await expectServed(vault, parents, resources, alive);
      expect(await listConnections(context.vault, { keyDigest: bystander.keyDigest, limit: 10, offset: 0 })).toEqual({
        kind: "found",
        connections: [],
      });
    }),
    { numRuns: 40 },
  );
});

async function take(
  vault: ReigningVault,
  taken: Step,
  resources: DesiredConnection[],
  alive: Map<string, DesiredConnection>,
): Promise<void> {
  const resource = resources[taken.slot] ?? expect.unreachable();
  if (taken.kind === "delete") {
    await softDeleteConnection(vault, resource.owner.uid, actorOf(resource.owner));
    alive.delete(resource.connectionId);
    return;
  }
  const credentials = apiKey(`token ${taken.token}`);
  if (taken.kind === "apply") {
    resources[taken.slot] = { ...resource, credentials, tags: { team: String(taken.team) } };
  } else {
    await softDeleteConnection(vault, resource.owner.uid, actorOf(resource.owner));
    const { environmentId, environmentUid, integrationId, connectionId } = resource;
    const ids = { environmentId, environmentUid, integrationId };
    resources[taken.slot] = desiredConnection(ids, { connectionId, credentials });
  }
  const desired = resources[taken.slot] ?? expect.unreachable();
  await storeConnection(vault, desired);
  alive.set(desired.connectionId, desired);
}

async function expectServed(
  vault: ReigningVault,
  { keyDigest }: Parents,
  resources: readonly DesiredConnection[],
  alive: ReadonlyMap<string, DesiredConnection>,
): Promise<void> {
  for (const { connectionId } of resources) {
    const read = await readConnection(vault, { keyDigest, providerConfigKey: "github", connectionId });
    const wanted = alive.get(connectionId);
    if (!wanted) {
      expect(read).toEqual({ kind: "not_found" });
      continue;
    }
    expect(read).toMatchObject({ kind: "found", connection: { tags: wanted.tags } });
    const { credentials } = wanted;
    if (read.kind !== "found" || credentials === undefined || credentials === "unchanged") expect.unreachable();
    expect(read.connection.credentials?.reveal()).toBe(JSON.stringify(credentials.value));
  }
}
