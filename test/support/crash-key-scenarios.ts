import { expect } from "vitest";
import { keyIn, PARENTS, type Place, secretValue } from "./crash-place.ts";
import {
  ALL,
  arrangeFolder,
  expectKeyEvents,
  expectOldKeyDead,
  expectServed,
  FIRST,
  keyEvents,
  type Scenario,
} from "./crash-scenario.ts";
import { eventually } from "./eventually.ts";
import { environment } from "./resources.ts";

/** What users do with the secret key of an Environment, and what its time does. */
export const KEY_SCENARIOS: readonly Scenario[] = [
  {
    name: "rotate the secret key of an Environment",
    arrange: arrangeFolder,
    act: ({ objects }) => objects.apply(environment(PARENTS.environment, {}, NEW_SECRET_KEY)),
    settled: expectSecretKeyRotated,
    async holds(place) {
      await expectServed(place, FIRST);
      await expectOldKeyDead(place);
      await expectKeyEvents(place, { "secret-key.rotated": 1 });
    },
  },
  {
    name: "rotate the secret key of an Environment with a grace period",
    arrange: arrangeFolderWithGrace,
    act: ({ objects }) => objects.apply(environment(PARENTS.environment, WITH_GRACE, NEW_SECRET_KEY)),
    settled: expectSecretKeyRotated,
    async holds(place) {
      const { objects, notes } = place;
      await expectServed(place, FIRST);
      const previous = await secretValue(objects, "production-keystead", "KEYSTEAD_PREVIOUS_SECRET_KEY");
      expect(previous, "the previous key in the Secret").toBe(notes.get("key"));
      expect(await place.served(previous ?? ""), "what it opens in its grace period").toBe(FIRST);
      await expectKeyEvents(place, { "secret-key.rotated": 1, "secret-key.grace-began": 1 });
    },
  },
  {
    name: "end the grace period of a secret key",
    async arrange(place) {
      await arrangeFolderWithGrace(place);
      await place.objects.apply(environment(PARENTS.environment, WITH_GRACE, NEW_SECRET_KEY));
      await expectSecretKeyRotated(place);
    },
    act: letGraceEnd,
    restarts: "as it was",
    settled: async ({ objects }) => {
      await eventually(async () => {
        expect(await secretValue(objects, "production-keystead", "KEYSTEAD_PREVIOUS_SECRET_KEY")).toBeUndefined();
        const { status } = await objects.get("environment/production");
        expect(status?.["secretKey"]).not.toHaveProperty("previousExpiresAt");
      });
    },
    async holds(place) {
      await expectServed(place, FIRST);
      await expectOldKeyDead(place);
      await expectKeyEvents(place, { "secret-key.rotated": 1, "secret-key.grace-began": 1, "secret-key.ended": 1 });
    },
  },
  {
    name: "rotate the secret key of an Environment that is due",
    async arrange(place) {
      await arrangeFolder(place);
      await place.objects.apply(environment(PARENTS.environment, ON_SCHEDULE));
      await place.objects.ready(...ALL);
    },
    act: letRotationBeDue,
    restarts: "as it was",
    settled: async (place) => {
      await eventually(async () => expect(await keyIn(place.objects)).not.toBe(place.notes.get("key")));
      await place.objects.ready(...ALL);
      await eventually(async () => expect(await keyEvents(place)).toHaveProperty("secret-key.grace-began"));
    },
    async holds(place) {
      await expectServed(place, FIRST);
      await expectKeyEvents(place, { "secret-key.rotated": 1, "secret-key.grace-began": 1 });
    },
  },
];

const WITH_GRACE = { rotation: { gracePeriod: "1h" } };
const ON_SCHEDULE = { rotation: { gracePeriod: "1h", interval: "90d" } };
const NEW_SECRET_KEY = { annotations: { "keystead.dev/rotate-secret-key": "1" } };

async function arrangeFolderWithGrace(place: Place): Promise<void> {
  await arrangeFolder(place);
  await place.objects.apply(environment(PARENTS.environment, WITH_GRACE));
  await place.objects.ready(...ALL);
}

async function expectSecretKeyRotated({ objects }: Place): Promise<void> {
  await eventually(async () => {
    const { status } = await objects.get("environment/production");
    expect(status).toMatchObject({ secretKey: { lastHandledRotation: "1" } });
  });
  await objects.ready(...ALL);
}

async function letGraceEnd(place: Place): Promise<void> {
  await place.rows(
    `update keystead.key_digests set expires_at = expires_at - interval '1 hour'
      where environment_id in (select environment_id from keystead.environments where owner_namespace = $1)`,
  );
}

async function letRotationBeDue(place: Place): Promise<void> {
  await place.rows(
    `update keystead.environments set next_rotation_at = next_rotation_at - interval '90 days' where owner_namespace = $1`,
  );
}
