import { expect } from "vitest";
import { PARENTS, type Place, secretValue } from "./crash-place.ts";
import {
  ALL,
  arrangeFolder,
  expectKeyEvents,
  expectServed,
  FIRST,
  keyEvents,
  type Scenario,
} from "./crash-scenario.ts";
import { eventually } from "./eventually.ts";
import { environment, type Manifest } from "./resources.ts";

/** What users do with the named keys of an Environment, and what their time does. One named key of two stays as it is. */
export const NAMED_KEY_SCENARIOS: readonly Scenario[] = [
  {
    name: "add a named key to an Environment",
    arrange: (place) => arrangeKeys(place, STAYING),
    act: ({ objects }) => objects.apply(withKeys(STAYING, REPORTING)),
    settled: ({ objects }) => objects.ready(...ALL),
    async holds(place) {
      expect(await place.served(await namedKey(place, REPORTING)), "what the new key opens").toBe(FIRST);
      await expectOthersStay(place);
      await expectKeyEvents(place, { "secret-key.created": 2 });
    },
  },
  {
    name: "rotate a named key of an Environment",
    arrange: (place) => arrangeKeys(place, STAYING, REPORTING),
    act: ({ objects }) => objects.apply(rotating(withKeys(STAYING, REPORTING))),
    settled: expectNewKeyInSecret,
    async holds(place) {
      expect(await place.served(await namedKey(place, REPORTING)), "what the new key opens").toBe(FIRST);
      await expectNotedKey(place, "unknown_key");
      await expectOthersStay(place);
      await expectKeyEvents(place, { "secret-key.created": 2, "secret-key.rotated": 1 });
    },
  },
  {
    name: "rotate a named key of an Environment with a grace period",
    arrange: (place) => arrangeKeys(place, STAYING, REPORTING),
    act: ({ objects }) => objects.apply(rotating(withGrace(withKeys(STAYING, REPORTING)))),
    async settled(place) {
      await expectNewKeyInSecret(place);
      await eventually(async () => expect(await keyEvents(place)).toHaveProperty("secret-key.grace-began"));
      await place.objects.ready(...ALL);
    },
    async holds(place) {
      expect(await place.served(await namedKey(place, REPORTING)), "what the new key opens").toBe(FIRST);
      await expectNotedKey(place, FIRST);
      await expectOthersStay(place);
      await expectKeyEvents(place, {
        "secret-key.created": 2,
        "secret-key.rotated": 1,
        "secret-key.grace-began": 1,
      });
    },
  },
  {
    name: "remove a named key from an Environment",
    arrange: (place) => arrangeKeys(place, STAYING, REPORTING),
    act: ({ objects }) => objects.apply(withKeys(STAYING)),
    settled: ({ objects }) => objects.ready(...ALL),
    holds: expectEnded,
  },
  {
    name: "let a named key of an Environment expire",
    arrange: (place) => arrangeKeys(place, STAYING, EXPIRING),
    act: letReportingExpire,
    restarts: "as it was",
    settled: ({ objects }) =>
      eventually(async () => expect(await objects.find(`secret/${REPORTING.secretName}`)).toBeUndefined()),
    holds: expectEnded,
  },
];

const STAYING = {
  name: "staying",
  scopes: ["connections:read", "connections:read_credentials"],
  secretName: "staying-key",
};
const REPORTING = { ...STAYING, name: "reporting", secretName: "reporting-key" };
const EXPIRING = { ...REPORTING, expiresAfter: "1h" };

type NamedKey = typeof STAYING;

const withKeys = (...apiKeys: readonly NamedKey[]): Manifest => environment(PARENTS.environment, { apiKeys });

const withGrace = (manifest: Manifest): Manifest => ({
  ...manifest,
  spec: { ...manifest.spec, rotation: { gracePeriod: "1h" } },
});

const rotating = (manifest: Manifest): Manifest => ({
  ...manifest,
  metadata: { ...manifest.metadata, annotations: { [`keystead.dev/rotate-secret-key.${REPORTING.name}`]: "1" } },
});

async function arrangeKeys(place: Place, ...keys: readonly NamedKey[]): Promise<void> {
  await arrangeFolder(place);
  await place.objects.apply(withKeys(...keys));
  await place.objects.ready(...ALL);
  for (const key of keys) place.notes.set(key.name, await namedKey(place, key));
}

/** The key that its Secret hands out. */
async function namedKey({ objects }: Place, { secretName }: NamedKey): Promise<string> {
  return (await secretValue(objects, secretName, "KEYSTEAD_SECRET_KEY")) ?? "none";
}

async function expectNewKeyInSecret(place: Place): Promise<void> {
  await eventually(async () => expect(await namedKey(place, REPORTING)).not.toBe(place.notes.get(REPORTING.name)));
}

/** What the key opens that its Secret held at first. */
async function expectNotedKey(place: Place, opens: string): Promise<void> {
  expect(await place.served(place.notes.get(REPORTING.name) ?? ""), "what the noted key opens").toBe(opens);
}

async function expectOthersStay(place: Place): Promise<void> {
  await expectServed(place, FIRST);
  const staying = await namedKey(place, STAYING);
  expect(staying, "the key of the other name").toBe(place.notes.get(STAYING.name));
  expect(await place.served(staying), "what it opens").toBe(FIRST);
}

/** Nothing is left of the key but what the audit says: that it ended, once. */
async function expectEnded(place: Place): Promise<void> {
  await expectNotedKey(place, "unknown_key");
  expect(await place.objects.find(`secret/${REPORTING.secretName}`), "the Secret of the key").toBeUndefined();
  const left = await place.rows(
    `select from keystead.secret_keys k join keystead.environments e using (environment_id)
      where e.owner_namespace = $1 and k.name = $2`,
    [REPORTING.name],
  );
  expect(left, "what is stored of the key").toEqual([]);
  await expectOthersStay(place);
  await expectKeyEvents(place, { "secret-key.created": 2, "secret-key.ended": 1 });
}

async function letReportingExpire(place: Place): Promise<void> {
  await place.rows(
    `update keystead.key_digests d set expires_at = now()
       from keystead.secret_keys k join keystead.environments e using (environment_id)
      where e.owner_namespace = $1 and k.name = $2
        and d.environment_id = k.environment_id and d.secret_key_id = k.secret_key_id`,
    [REPORTING.name],
  );
}
