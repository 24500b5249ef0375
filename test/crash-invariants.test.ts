import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { OWNER_LABEL } from "../src/controllers/owned-secrets.ts";
import { resourcePath } from "../src/kube/resource-path.ts";
import { KINDS } from "./support/cluster.ts";
import { breachesIn, versionsIn } from "./support/crash-invariants.ts";
import { createPlace, keyIn, type Place } from "./support/crash-place.ts";
import { SCENARIOS } from "./support/crash-scenarios.ts";
import { createInstallation } from "./support/keystead.ts";
import { secret } from "./support/resources.ts";

// What the crash tests look for is found: each thing that must never be is made by hand, and reported. One after the other in
// the same place, which nobody mends.

const installation = await createInstallation("invariants");
const { objects, namespace, database, environment } = installation;
const place = createPlace({
  namespace,
  objects,
  ownerUrl: database.ownerUrl,
  databaseUrl: database.url,
  encryptionKey: () => environment["KEYSTEAD_ENCRYPTION_KEY"] ?? "",
});
const rotation = SCENARIOS.find(({ name }) => name === "rotate the secret key of an Environment with a grace period");

beforeAll(async () => {
  const controller = installation.start("controller");
  await rotation?.arrange?.(place);
  await rotation?.act(place);
  await rotation?.settled(place);
  await controller.end();
});
afterAll(() => installation[Symbol.asyncDispose]());

/** Rows of the place's one environment. */
const OF_ENVIRONMENT =
  "environment_id in (select environment_id from keystead.environments where owner_namespace = $1)";

/** As if one token had rotated once more. */
const SECOND_ROTATION = `
  insert into keystead.audit_events (environment_id, actor_kind, actor, action, target_kind, target_id, target_revision, fields)
  select environment_id, actor_kind, 'again', action, target_kind, target_id, target_revision, fields
    from keystead.audit_events where action = 'secret-key.rotated' and ${OF_ENVIRONMENT}`;

test("nothing is reported where all is well", async () => {
  await rotation?.holds(place);
  expect(await breachesIn(place)).toEqual([]);
});

test("what a scenario says for itself is looked at: an old key that opens something, a second rotation for one token", async () => {
  const withoutGrace = SCENARIOS.find(({ name }) => name === "rotate the secret key of an Environment");
  await expect(withoutGrace?.holds(place)).rejects.toThrow("what the old key opens");

  await place.rows(SECOND_ROTATION);
  await expect(rotation?.holds(place)).rejects.toThrow("what happened to secret keys");
  await place.rows(`delete from keystead.audit_events where actor = 'again' and ${OF_ENVIRONMENT}`);
  await rotation?.holds(place);
});

const sql =
  (text: string) =>
  (where: Place): Promise<unknown> =>
    where.rows(text);

async function changeStatus(reference: "connection", name: string, status: object): Promise<void> {
  await objects.client.request({
    method: "PATCH",
    path: resourcePath(KINDS[reference], { namespace, name, subresource: "status" }),
    contentType: "application/merge-patch+json",
    body: { status },
  });
}

test.each<{ readonly broken: string; readonly reported: RegExp; readonly breaks: (place: Place) => Promise<unknown> }>([
  {
    broken: "a Secret with another key than the database",
    reported: /^production-keystead has another secret key than the database$/,
    breaks: async () =>
      objects.patch("secret/production-keystead", {
        data: { KEYSTEAD_SECRET_KEY: Buffer.from("x").toString("base64") },
      }),
  },
  {
    broken: "a Secret with another previous key than the database",
    reported: /^production-keystead has another previous key than the database$/,
    breaks: async () =>
      objects.patch("secret/production-keystead", {
        data: { KEYSTEAD_PREVIOUS_SECRET_KEY: Buffer.from(await keyIn(objects)).toString("base64") },
      }),
  },
  {
    broken: "an old key that opens for ever",
    reported: /^a current secret key without its digest, or an old one that opens for ever: /,
    breaks: sql(`update keystead.key_digests set expires_at = null where ${OF_ENVIRONMENT}`),
  },
  {
    broken: "a named key that no list names",
    reported: /^a named key that no list names: /,
    breaks: sql(`update keystead.secret_keys set name = 'nobody' where replaced_at is not null and ${OF_ENVIRONMENT}`),
  },
  {
    broken: "a named key that may do more than its list says",
    reported: /^a named key that may do something else than its list says: /,
    breaks: sql(`
      insert into keystead.api_keys (environment_id, name, scopes)
      select environment_id, 'nobody', '{proxy}' from keystead.environments where owner_namespace = $1`),
  },
  {
    broken: "a Secret of a named key that the database does not have",
    reported: /^expired-key has another secret key than the database$/,
    async breaks() {
      const apiKeys = [{ name: "expired", scopes: ["proxy"], secretName: "expired-key" }];
      await objects.patch("environment/production", { spec: { apiKeys } });
      await objects.apply(secret("expired-key", { KEYSTEAD_SECRET_KEY: "x" }));
    },
  },
  {
    broken: "a Secret that was left behind",
    reported: /^left-key is a Secret of no key$/,
    async breaks() {
      const { uid } = (await objects.get("environment/production")).metadata;
      const labels = { [OWNER_LABEL]: uid };
      await objects.apply(secret("left-key", {}, { metadata: { name: "left-key", labels } }));
    },
  },
  {
    broken: "a key that was rotated twice for one token",
    reported:
      /^a row that was made, changed or deleted without exactly one event, or an event without a change: .*secret-key\.rotated.*secret-key\.rotated/,
    breaks: sql(SECOND_ROTATION),
  },
  {
    broken: "a change without an event",
    reported: /^a row that was made, .*connection\.created 1/,
    breaks: sql("update keystead.connections set revision = revision + 1 where owner_namespace = $1"),
  },
  {
    broken: "a status that names another row",
    reported: /^the status of acme names another row than it has$/,
    breaks: () => changeStatus("connection", "acme", { connectionId: randomUUID() }),
  },
  {
    broken: "a live row that no resource has",
    reported: /^the integration row .* has no resource$/,
    breaks: sql("update keystead.integrations set owner_uid = gen_random_uuid() where owner_namespace = $1"),
  },
  {
    broken: "a live row whose parent is deleted",
    reported: /^a row without its parent: /,
    breaks: sql(
      "update keystead.integrations set deleted_at = now(), deletion_id = gen_random_uuid() where owner_namespace = $1",
    ),
  },
  {
    broken: "a data key that nothing wraps",
    reported: /^a data key that nothing wraps: /,
    breaks: sql(`delete from keystead.data_key_wrappings where ${OF_ENVIRONMENT}`),
  },
  {
    broken: "an environment without a current key",
    reported: /^an environment without exactly one current secret key and one active data key: /,
    breaks: sql(`update keystead.secret_keys set replaced_at = now() where replaced_at is null and ${OF_ENVIRONMENT}`),
  },
  {
    broken: "a resource whose finalizer hangs",
    reported: /^acme is still deleted$/,
    breaks: () => objects.startDelete("connection/acme"),
  },
])("$broken is reported", async ({ reported, breaks }) => {
  expect(await breachesIn(place)).not.toContainEqual(expect.stringMatching(reported));
  await breaks(place);
  expect(await breachesIn(place)).toContainEqual(expect.stringMatching(reported));
});

test("a write after all was settled is seen", async () => {
  const before = await versionsIn(place);
  expect(await versionsIn(place)).toEqual(before);
  await objects.patch("connection/acme", { metadata: { labels: { touched: "true" } } });
  expect(await versionsIn(place)).not.toEqual(before);
});
