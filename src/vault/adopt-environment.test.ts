import { expect, test } from "vitest";
import { tokenDigest } from "../crypto/token.ts";
import { eventsOf, served } from "../../test/support/restorable.ts";
import {
  actorOf,
  createTestVault,
  desiredConnection,
  desiredEnvironment,
  desiredIntegration,
  idsOf,
  newOwner,
  storeExample,
  type TestVault,
} from "../../test/support/vault.ts";
import { adoptEnvironment } from "./adopt-environment.ts";
import { AUDITED_CONNECTION, AUDITED_INTEGRATION } from "./audit-fragments.ts";
import { claimRow } from "./claim-row.ts";
import { describeConnections } from "./describe-connections.ts";
import { describeEnvironments, MAIN_SECRET_KEY } from "./describe-environments.ts";
import { describeIntegrations } from "./describe-integrations.ts";
import { beginGrace } from "./grace-period.ts";
import type { Owner } from "./owner.ts";
import { readEnvironmentSecretKey, readSecretKeys } from "./read-environment-secret-key.ts";
import { restoreConnection } from "./restore-connection.ts";
import { restoreEnvironment } from "./restore-environment.ts";
import { restoreIntegration } from "./restore-integration.ts";
import { rotateDataKey } from "./rotate-data-key.ts";
import { rotateSecretKey } from "./rotate-secret-key.ts";
import { softDeleteConnection } from "./soft-delete-connection.ts";
import { softDeleteEnvironment } from "./soft-delete-environment.ts";
import { storeConnection } from "./store-connection.ts";
import { storeEnvironment } from "./store-environment.ts";
import { storeIntegration } from "./store-integration.ts";
import { findSuperseded, listSuperseded } from "./superseded-owners.ts";

/** A resource of another cluster, in a namespace that is called otherwise there. */
function foreign(name: string): Owner {
  return { ...newOwner(name), cluster: "c1a5be2d-0000-4000-8000-000000000002", namespace: "store" };
}

test("a resource of another cluster takes an environment over with its key, and everything in it waits for that cluster", async () => {
  await using context = await createTestVault();
  const { vault } = context;
  const { environment, environmentId, keyDigest, desired, stored, integration } = await storeExample(vault);
  const owner = foreign("production");

  await adoptEnvironment(vault, { environmentId, secretKeyDigest: keyDigest, owner });

  expect((await describeEnvironments(vault, [owner.uid])).get(owner.uid)).toMatchObject({ id: environmentId });
  expect(await served(vault, keyDigest)).toEqual({ id: stored.id, apiKey: "token-of-acme" });
  for (const former of [environment.owner, integration.owner, desired.owner]) {
    expect((await describeEnvironments(vault, [former.uid])).size).toBe(0);
    expect((await describeIntegrations(vault, [former.uid])).size).toBe(0);
    expect((await describeConnections(vault, [former.uid])).size).toBe(0);
  }
  expect(await findSuperseded(vault, environment.owner.uid)).toMatchObject({
    environment_id: environmentId,
    by_cluster: owner.cluster,
    by_namespace: "store",
    by_name: "production",
  });
  expect(await listSuperseded(vault, environment.owner)).toEqual([
    { uid: environment.owner.uid, namespace: "shop", name: "production" },
  ]);
  const events = await eventsOf(context, "environment.adopted");
  expect(events).toMatchObject([{ actor: owner.uid, target_id: environmentId }]);

  const acme = foreign("acme");
  const place = { environmentId, environmentUid: owner.uid };
  await expect(
    storeConnection(vault, desiredConnection({ ...desired, ...place }, { owner: acme })),
    "its own resource of the new cluster",
  ).rejects.toHaveProperty("code", "row_unclaimed");
  await claimRow(vault, AUDITED_CONNECTION, { ...place, id: stored.id, owner: acme });
  expect((await describeConnections(vault, [acme.uid])).get(acme.uid)).toMatchObject({ id: stored.id, claimed: true });
});

test("nothing of the former cluster can be written any more, new or old, whatever its controller believes", async () => {
  await using context = await createTestVault();
  const { vault } = context;
  const { environmentId, integrationId, keyDigest, desired, integration } = await storeExample(vault);
  const before = (await describeConnections(vault, [desired.owner.uid])).get(desired.owner.uid);
  const owner = foreign("production");
  await adoptEnvironment(vault, { environmentId, secretKeyDigest: keyDigest, owner });

  // Not even one that knows whose the environment is now.
  const place = { environmentId, environmentUid: owner.uid };
  const refusals = await Promise.allSettled([
    storeConnection(vault, { ...desired, tags: { team: "support" }, known: before }),
    storeConnection(vault, { ...desired, ...place, tags: { team: "support" }, known: before }),
    storeConnection(vault, desiredConnection({ ...place, integrationId }, { connectionId: "new" })),
    storeIntegration(vault, integration),
    storeIntegration(vault, { ...integration, ...place }),
    storeIntegration(vault, desiredIntegration(place, { uniqueKey: "new" })),
  ]);
  for (const refusal of refusals)
    expect(refusal).toMatchObject({ status: "rejected", reason: { code: "environment_superseded" } });
  expect(await softDeleteConnection(vault, desired.owner.uid, actorOf(desired.owner))).toBeUndefined();
  expect(await served(vault, keyDigest)).toMatchObject({ apiKey: "token-of-acme" });
});

test("in one namespace, resources of the former Environment store, claim, restore and end nothing of the successor's", async () => {
  await using context = await createTestVault();
  const { vault } = context;
  const { environment, environmentId, integrationId, keyDigest, desired, stored, integration } =
    await storeExample(vault);
  const former = environment.owner;
  const rotation = { environmentId, owner: former, cause: { kind: "token", token: "1" }, graceSeconds: 3_600 } as const;
  await rotateSecretKey(vault, rotation);
  const current = tokenDigest((await readEnvironmentSecretKey(vault, environmentId)).reveal());
  const pending = (await describeEnvironments(vault, [former.uid])).get(former.uid)?.replacedKeys[0];
  await adoptEnvironment(vault, { environmentId, secretKeyDigest: current, owner: newOwner("successor") });

  const place = { environmentId, environmentUid: former.uid };
  const back = { ...place, integrationId, connectionId: "acme", keepsCredentials: true };
  const refusals = await Promise.allSettled([
    storeConnection(vault, desired),
    storeConnection(vault, desiredConnection({ ...place, integrationId }, { connectionId: "new" })),
    storeIntegration(vault, integration),
    storeIntegration(vault, desiredIntegration(place, { uniqueKey: "new" })),
    claimRow(vault, AUDITED_CONNECTION, { ...place, id: stored.id, owner: desired.owner }),
    claimRow(vault, AUDITED_INTEGRATION, { ...place, id: integrationId, owner: integration.owner }),
    restoreConnection(vault, { id: stored.id, owner: desired.owner, ...back }),
    restoreIntegration(vault, { id: integrationId, owner: integration.owner, uniqueKey: "github", ...place }),
    restoreEnvironment(vault, { id: environmentId, owner: former }),
  ]);
  for (const refusal of refusals)
    expect(refusal).toMatchObject({ status: "rejected", reason: { code: "environment_superseded" } });
  const key = { environmentId, name: MAIN_SECRET_KEY, fingerprint: pending?.fingerprint ?? "", owner: former };
  expect(await beginGrace(vault, key)).toBeUndefined();
  expect(await rotateSecretKey(vault, { ...rotation, cause: { kind: "token", token: "2" } })).toBe(false);
  expect(await rotateDataKey(vault, { environmentId, token: "1", actor: actorOf(former) })).toBe(false);
  await expect(readSecretKeys(vault, environmentId, MAIN_SECRET_KEY, former.uid)).rejects.toHaveProperty(
    "code",
    "environment_gone",
  );
  expect(await served(vault, keyDigest), "the key in its grace period").toMatchObject({ apiKey: "token-of-acme" });
  expect(await served(vault, current)).toMatchObject({ apiKey: "token-of-acme" });
});

test("adopting again, as after a crash, changes nothing", async () => {
  await using context = await createTestVault();
  const { environmentId, keyDigest } = await storeExample(context.vault);
  const request = { environmentId, secretKeyDigest: keyDigest, owner: foreign("production") };
  await adoptEnvironment(context.vault, request);
  await adoptEnvironment(await context.successor(), request);
  expect(await eventsOf(context, "environment.adopted")).toHaveLength(1);
});

test("without the current secret key nothing is taken over, and nobody learns whether the environment exists", async () => {
  await using context = await createTestVault();
  const { vault } = context;
  const { environment, environmentId, keyDigest } = await storeExample(vault);
  const other = await storeExample(vault);
  const request = { environmentId, secretKeyDigest: keyDigest, owner: foreign("production") };
  const unknown = "01930000-0000-7000-8000-000000000000";
  for (const wrong of [{ secretKeyDigest: other.keyDigest }, { environmentId: unknown }]) {
    await expect(adoptEnvironment(vault, { ...request, ...wrong })).rejects.toMatchObject({
      code: "adopt_refused",
      message: expect.stringContaining("has the secret key that is given"),
    });
  }
  await replaceKey(context, environmentId);
  await expect(adoptEnvironment(vault, request), "a replaced key").rejects.toHaveProperty("code", "adopt_refused");
  await softDeleteEnvironment(vault, other.environment.owner.uid, actorOf(other.environment.owner));
  const deleted = { ...request, environmentId: other.environmentId, secretKeyDigest: other.keyDigest };
  await expect(adoptEnvironment(vault, deleted), "a deleted one").rejects.toHaveProperty("code", "adopt_refused");
  expect(await findSuperseded(vault, environment.owner.uid)).toBeUndefined();
  expect(await eventsOf(context, "environment.adopted")).toEqual([]);
});

test("a resource that has an environment cannot take another one over", async () => {
  await using context = await createTestVault();
  const { environmentId, keyDigest } = await storeExample(context.vault);
  const owner = newOwner("other");
  await storeEnvironment(context.vault, desiredEnvironment({ owner }));
  await expect(
    adoptEnvironment(context.vault, { environmentId, secretKeyDigest: keyDigest, owner }),
  ).rejects.toHaveProperty("code", "adopt_conflict");
});

test("of two clusters that take one environment over at once the last one has it, and the first is superseded", async () => {
  await using context = await createTestVault();
  const { environment, environmentId, keyDigest } = await storeExample(context.vault);
  const owners = [foreign("production"), foreign("production")];
  const processes = await Promise.all([context.another(), context.another()]);
  await Promise.all(
    processes.map((vault, n) =>
      adoptEnvironment(vault, { environmentId, secretKeyDigest: keyDigest, owner: owners[n] ?? newOwner() }),
    ),
  );
  const uids = owners.map(({ uid }) => uid);
  const [winner] = (await describeEnvironments(context.vault, uids)).keys();
  const loser = uids.find((uid) => uid !== winner) ?? "";
  expect(uids).toContain(winner);
  expect(await findSuperseded(context.vault, loser)).toBeDefined();
  expect(await findSuperseded(context.vault, environment.owner.uid)).toBeDefined();
});

test("what was deleted before can be restored in the new cluster", async () => {
  await using context = await createTestVault();
  const { vault } = context;
  const { environmentId, integrationId, keyDigest, desired, stored } = await storeExample(vault);
  await softDeleteConnection(vault, desired.owner.uid, actorOf(desired.owner));
  const owner = foreign("production");
  await adoptEnvironment(vault, { environmentId, secretKeyDigest: keyDigest, owner });

  const place = { environmentId, environmentUid: owner.uid, integrationId, connectionId: "acme" };
  const request = { id: stored.id, owner: foreign("acme"), ...place, keepsCredentials: false };
  expect(await restoreConnection(vault, request)).toBe("restore");
  expect(await served(vault, keyDigest)).toMatchObject({ id: stored.id });
});

test("thousands of rows are taken over in one transaction, in batches", async () => {
  await using context = await createTestVault();
  const { vault } = context;
  const example = await storeExample(vault);
  const { environmentId, keyDigest } = example;
  const all = Array.from({ length: 999 }, (_, n) => desiredConnection(idsOf(example), { connectionId: `c${n}` }));
  await Promise.all(all.map((desired) => storeConnection(vault, desired)));

  await adoptEnvironment(vault, { environmentId, secretKeyDigest: keyDigest, owner: foreign("production") }, 250);

  const [found] = await context.database.query(
    `select count(*) filter (where not claimed and owner_namespace = 'store') as waiting,
            count(distinct owner_uid) as uids, count(distinct xmin::text) as commits
       from keystead.connections`,
  );
  expect(found).toEqual({ waiting: 1_000, uids: 1_000, commits: 1 });
});

/** As a rotation without a grace period leaves it. */
async function replaceKey({ database }: TestVault, environmentId: string): Promise<void> {
  await database.query("update keystead.secret_keys set replaced_at = now() where environment_id = $1", [
    environmentId,
  ]);
}
