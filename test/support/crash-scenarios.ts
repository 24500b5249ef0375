import { expect } from "vitest";
import { KEY_SCENARIOS } from "./crash-key-scenarios.ts";
import { NAMED_KEY_SCENARIOS } from "./crash-named-key-scenarios.ts";
import { folder, keyIn, PARENTS, type Place, secretValue } from "./crash-place.ts";
import {
  ALL,
  arrangeFolder,
  expectOldKeyDead,
  expectRows,
  expectServed,
  FIRST,
  type Scenario,
} from "./crash-scenario.ts";
import { eventually } from "./eventually.ts";
import { canary } from "./leaks.ts";
import { connection, environment, integration, type Manifest, secret } from "./resources.ts";

const SECOND = canary("second");

/** All that the crash tests play. */
export const SCENARIOS: readonly Scenario[] = [
  {
    name: "create an Environment, an Integration and a Connection",
    act: ({ objects }) => objects.apply(...Object.values(folder(FIRST))),
    settled: ({ objects }) => objects.ready(...ALL),
    async holds(place) {
      await expectServed(place, FIRST);
      await expectRows(place, { environments: [1, 0], integrations: [1, 0], connections: [1, 0] });
    },
  },
  {
    name: "change a Secret",
    arrange: arrangeFolder,
    act: ({ objects }) => objects.apply(secret("acme", { token: SECOND })),
    settled: (place) => eventually(() => expectServed(place, SECOND)),
    holds: (place) => expectRows(place, { environments: [1, 0], integrations: [1, 0], connections: [1, 0] }),
  },
  {
    name: "change an Environment, an Integration and a Connection",
    arrange: arrangeFolder,
    act: ({ objects }) =>
      objects.apply(
        environment(PARENTS.environment, { variables: [{ name: "REGION", value: "eu" }] }),
        integration(PARENTS.integration, PARENTS.environment, { provider: "other" }),
        connection("acme", PARENTS, { tags: { team: "sales" } }),
      ),
    settled: ({ objects }) => objects.ready(...ALL),
    async holds(place) {
      await expectServed(place, FIRST);
      const changed = await place.rows(
        `select c.tags, i.provider, e.revision::int, i.revision::int as integration, c.revision::int as connection
           from keystead.connections c join keystead.integrations i using (environment_id, integration_id)
           join keystead.environments e using (environment_id) where c.owner_namespace = $1`,
      );
      expect(changed).toEqual([
        { tags: { team: "sales" }, provider: "other", revision: 2, integration: 2, connection: 2 },
      ]);
    },
  },
  {
    name: "delete a Connection",
    arrange: arrangeFolder,
    act: ({ objects }) => objects.startDelete("connection/acme"),
    settled: ({ objects }) => objects.delete("connection/acme"),
    async holds(place) {
      await expectServed(place, "not_found");
      await expectRows(place, { environments: [1, 0], integrations: [1, 0], connections: [0, 1] });
    },
  },
  {
    name: "delete an Environment whose Integration and Connection stay",
    arrange: arrangeFolder,
    act: ({ objects }) => objects.startDelete("environment/production"),
    async settled({ objects }) {
      await objects.delete("environment/production");
      await reachLost(objects, "integration/stripe", "EnvironmentNotFound");
      await reachLost(objects, "connection/acme", "EnvironmentNotFound");
    },
    async holds(place) {
      await expectOldKeyDead(place);
      await expectRows(place, { environments: [0, 1], integrations: [0, 1], connections: [0, 1] });
    },
  },
  {
    name: "delete all at once",
    arrange: arrangeFolder,
    act: async ({ objects }) => void (await Promise.all(ALL.map((reference) => objects.startDelete(reference)))),
    settled: ({ objects }) => objects.delete(...ALL),
    async holds(place) {
      await expectOldKeyDead(place);
      await expectRows(place, { environments: [0, 1], integrations: [0, 1], connections: [0, 1] });
    },
  },
  {
    name: "delete all and make it again",
    arrange: arrangeFolder,
    async act({ objects }) {
      await objects.delete(...ALL);
      await objects.apply(...Object.values(folder(SECOND)));
    },
    settled: ({ objects }) => objects.ready(...ALL),
    async holds(place) {
      await expectServed(place, SECOND);
      await expectOldKeyDead(place);
      await expectRows(place, { environments: [1, 1], integrations: [1, 1], connections: [1, 1] });
    },
  },
  {
    name: "restore a Connection",
    async arrange(place) {
      await arrangeFolder(place);
      await place.objects.delete("connection/acme", "secret/acme");
    },
    act: ({ objects, notes }) =>
      objects.apply(restoring(connection("acme", PARENTS, { credentials: undefined }), notes.get("connection/acme"))),
    settled: ({ objects }) => objects.ready("connection/acme"),
    async holds(place) {
      await expectServed(place, FIRST);
      await expectRows(place, { environments: [1, 0], integrations: [1, 0], connections: [1, 0] });
    },
  },
  {
    name: "restore an Environment, and make the others again",
    async arrange(place) {
      await arrangeFolder(place);
      await place.objects.delete(...ALL);
    },
    async act({ objects, notes }) {
      const { environment: itself, ...others } = folder(FIRST);
      await objects.apply(restoring(itself, notes.get("environment/production")), ...Object.values(others));
    },
    settled: ({ objects }) => objects.ready(...ALL),
    async holds(place) {
      expect(await keyIn(place.objects)).toBe(place.notes.get("key"));
      await expectServed(place, FIRST);
      await expectRows(place, { environments: [1, 0], integrations: [1, 0], connections: [1, 0] });
    },
  },
  {
    name: "delete all by the policy Purge",
    async arrange(place) {
      await arrangeFolder(place);
      const deletionPolicy = "Purge";
      await place.objects.apply(
        environment(PARENTS.environment, { deletionPolicy }),
        integration(PARENTS.integration, PARENTS.environment, { deletionPolicy }),
        connection("acme", PARENTS, { deletionPolicy }),
      );
      await place.objects.ready(...ALL);
    },
    act: async ({ objects }) => void (await Promise.all(ALL.map((reference) => objects.startDelete(reference)))),
    settled: ({ objects }) => objects.delete(...ALL),
    holds: expectPurged,
  },
  {
    name: "delete a Connection by the policy Orphan",
    async arrange(place) {
      await arrangeFolder(place);
      await place.objects.apply(connection("acme", PARENTS, { deletionPolicy: "Orphan" }));
      await place.objects.ready("connection/acme");
    },
    act: ({ objects }) => objects.startDelete("connection/acme"),
    settled: ({ objects }) => objects.delete("connection/acme"),
    async holds(place) {
      await expectServed(place, FIRST);
      const orphaned = await place.rows(
        `select a.action from keystead.audit_events a join keystead.connections c on a.target_id = c.connection_row_id
           join keystead.environments e on e.environment_id = c.environment_id
          where e.owner_namespace = $1 and c.owner_uid is null and a.action like '%.orphaned'`,
      );
      expect(orphaned).toHaveLength(1);
    },
  },
  {
    name: "purge what was deleted, when its retention has ended",
    async arrange(place) {
      await arrangeFolder(place);
      await place.objects.delete(...ALL);
    },
    act: letRetentionEnd,
    restarts: "as it was",
    settled: (place) => eventually(() => expectPurged(place)),
    holds: expectPurged,
  },
  {
    name: "change the encryption key",
    arrange: arrangeFolder,
    act: () => Promise.resolve(),
    restarts: "with a new encryption key",
    settled: (place) => eventually(() => expectServed(place, FIRST)),
    holds: async (place) => expect(await keyIn(place.objects)).toBe(place.notes.get("key")),
  },
  ...KEY_SCENARIOS,
  ...NAMED_KEY_SCENARIOS,
  {
    name: "take an Environment over by another one",
    arrange: arrangeFolder,
    act: ({ objects, notes }) =>
      objects.apply(
        environment("successor", {
          adopt: {
            environmentId: notes.get("environment/production"),
            secretKeyRef: { name: "production-keystead", key: "KEYSTEAD_SECRET_KEY" },
          },
        }),
      ),
    async settled({ objects }) {
      await objects.ready("environment/successor");
      await objects.reach("environment/production", "Ready=False Superseded", "Stalled=True Superseded");
      await reachLost(objects, "integration/stripe", "EnvironmentNotReady");
      await reachLost(objects, "connection/acme", "EnvironmentNotReady");
    },
    async holds(place) {
      const key = await secretValue(place.objects, "successor-keystead", "KEYSTEAD_SECRET_KEY");
      expect(key, "the key of the successor").toBe(place.notes.get("key"));
      expect(await place.served(key ?? ""), "what it opens").toBe(FIRST);
      const taken = await place.rows(
        `select connection_row_id from keystead.connections where owner_namespace = $1 and (claimed or deleted_at is not null)
          union all
         select integration_id from keystead.integrations where owner_namespace = $1 and (claimed or deleted_at is not null)`,
      );
      expect(taken, "rows of the successor that resources of the former Environment took").toEqual([]);
      const events = await place.rows(
        `select from keystead.audit_events join keystead.environments using (environment_id)
          where owner_namespace = $1 and action = 'environment.adopted'`,
      );
      expect(events, "adoptions").toHaveLength(1);
    },
  },
  {
    name: "replace the data key of an Environment",
    arrange: arrangeFolder,
    act: ({ objects }) => objects.apply(environment(PARENTS.environment, {}, NEW_DATA_KEY)),
    settled: expectDataKeyReplaced,
    async holds(place) {
      await expectServed(place, FIRST);
      const events = await place.rows(
        `select from keystead.audit_events join keystead.environments using (environment_id)
          where owner_namespace = $1 and action = 'environment.data-key-rotated'`,
      );
      expect(events, "rotations of one token").toHaveLength(1);
    },
  },
  {
    name: "encrypt everything under the data key that came new",
    async arrange(place) {
      await arrangeFolder(place);
      await place.objects.apply(environment(PARENTS.environment, {}, NEW_DATA_KEY));
      await expectDataKeyReplaced(place);
    },
    act: () => Promise.resolve(),
    restarts: "as it was",
    settled: (place) => eventually(() => expectReencrypted(place)),
    async holds(place) {
      await expectServed(place, FIRST);
      expect(await keyIn(place.objects)).toBe(place.notes.get("key"));
    },
  },
];

const NEW_DATA_KEY = { annotations: { "keystead.dev/rotate-data-key": "1" } };

/** The worker that re-encrypts leaves what it has no turn for: looked at where a start gives it one. */
async function expectReencrypted(place: Place): Promise<void> {
  const left = await place.rows(
    `select c.connection_row_id from keystead.connections c join keystead.environments e using (environment_id)
       join keystead.data_keys d on d.environment_id = e.environment_id and d.state = 'active'
      where e.owner_namespace = $1 and (keystead.data_key_of(c.credentials_sealed) <> d.data_key_id
        or keystead.data_key_of(c.config_sealed) <> d.data_key_id
        or keystead.data_key_of(e.variables_sealed) <> d.data_key_id
        or keystead.data_key_of(e.digest_key_sealed) <> d.data_key_id)`,
  );
  expect(left, "rows under a replaced data key").toEqual([]);
}

async function expectDataKeyReplaced({ objects }: Place): Promise<void> {
  await eventually(async () => {
    const { status } = await objects.get("environment/production");
    expect(status).toMatchObject({ dataKey: { lastHandledRotation: "1" } });
  });
}

/** Nothing is left but what the audit says: that each of the three was purged, once. */
async function expectPurged(place: Place): Promise<void> {
  await expectRows(place, {});
  const ids = ALL.map((reference) => place.notes.get(reference) ?? "");
  const events = await place.rows<{ target_id: string }>(
    `select target_id from keystead.audit_events where action like '%.purged' and $1 <> '' and target_id = any($2)`,
    [ids],
  );
  expect(events.map(({ target_id }) => target_id).toSorted(), "purges in the audit").toEqual(ids.toSorted());
  const keys = await place.rows(
    `select environment_id from keystead.data_keys where $1 <> '' and environment_id = any($2)
     union all select environment_id from keystead.secret_keys where environment_id = any($2)
     union all select environment_id from keystead.key_digests where environment_id = any($2)`,
    [ids],
  );
  expect(keys, "keys of an environment that is gone").toEqual([]);
}

/** As a replica would write it, because no reign of a controller does. */
async function letRetentionEnd(place: Place): Promise<void> {
  for (const table of ["environments", "integrations", "connections"]) {
    await place.rows(
      `with past as (select set_config('session_replication_role', 'replica', true))
       update keystead.${table} set deleted_at = deleted_at - interval '31 days' from past where owner_namespace = $1`,
    );
  }
}

/** The same manifest, that wants a row back. */
function restoring(manifest: Manifest, restoreFrom = ""): Manifest {
  return { ...manifest, spec: { ...manifest.spec, restoreFrom } };
}

async function reachLost(objects: Place["objects"], reference: (typeof ALL)[number], reason: string): Promise<void> {
  await objects.reach(reference, `Ready=False ${reason}`, `Reconciling=True ${reason}`);
}
