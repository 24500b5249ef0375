import { expect, test } from "vitest";
import { createTestVault, desiredConnection, idsOf, newOwner, storeParents } from "../../test/support/vault.ts";
import { connectionDigestsOf, isSettledConnection } from "./connection.ts";
import { describeConnections } from "./describe-connections.ts";
import { storeConnection } from "./store-connection.ts";

test("a thousand resources are described by one query, and every one of them is found settled", async () => {
  await using context = await createTestVault();
  const parents = await storeParents(context.vault);
  const all = Array.from({ length: 1_000 }, (_, n) => desiredConnection(idsOf(parents), { connectionId: `c${n}` }));
  await Promise.all(all.map((desired) => storeConnection(context.vault, desired)));

  const fresh = await context.another();
  const states = await describeConnections(fresh, [...all.map(({ owner }) => owner.uid), newOwner().uid]);
  expect(states.size).toBe(1_000);
  for (const desired of all) {
    const state = states.get(desired.owner.uid) ?? expect.unreachable();
    const unread = { ...desired, credentials: "unchanged" as const };
    const digests = await connectionDigestsOf(fresh, desired.environmentId, unread);
    expect(isSettledConnection(state, digests, desired.sources)).toBe(true);
  }
});

test.each([
  ["other tags", { tags: { team: "support" } }],
  ["another config", { config: {} }],
  ["metadata", { metadata: {} }],
  ["an end user", { endUser: { id: "42" } }],
  ["another declaration", { declaration: { basic: {} } }],
  ["other credentials", { credentials: { type: "API_KEY", value: { type: "API_KEY", apiKey: "new" } } }],
  [
    "credentials of another type",
    { credentials: { type: "BASIC", value: { type: "API_KEY", apiKey: "token-of-acme" } } },
  ],
  ["no credentials", { credentials: undefined }],
] as const)("%s unsettle a connection", async (_, edit) => {
  await using context = await createTestVault();
  const parents = await storeParents(context.vault);
  const desired = desiredConnection(idsOf(parents));
  await storeConnection(context.vault, desired);
  const state = (await describeConnections(context.vault, [desired.owner.uid])).get(desired.owner.uid);
  const digests = await connectionDigestsOf(context.vault, parents.environmentId, { ...desired, ...edit });
  expect(isSettledConnection(state ?? expect.unreachable(), digests, desired.sources)).toBe(false);
});

test("a Secret that was deleted and made anew unsettles a connection, even at the same resourceVersion", async () => {
  await using context = await createTestVault();
  const parents = await storeParents(context.vault);
  const desired = desiredConnection(idsOf(parents));
  const state = await storeConnection(context.vault, desired);
  const isSettled = (sources: typeof desired.sources) => isSettledConnection(state, state.digests, sources);
  expect(isSettled([{ name: "acme", uid: "b", resourceVersion: "1" }])).toBe(true);
  expect(isSettled([{ name: "acme", uid: "c", resourceVersion: "1" }])).toBe(false);
  expect(isSettled([{ name: "acme", uid: "b", resourceVersion: "2" }])).toBe(false);
  expect(isSettled([{ name: "other", uid: "b", resourceVersion: "1" }])).toBe(false);
  expect(isSettled([])).toBe(false);
});
