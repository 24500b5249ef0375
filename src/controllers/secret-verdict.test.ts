import { expect, test } from "vitest";
import type { KubeSecret, OwnerReference } from "../kube/object.ts";
import { type DesiredSecret, judgeSecret } from "./secret-verdict.ts";

const OWNER: OwnerReference = {
  apiVersion: "keystead.dev/v1alpha1",
  kind: "Environment",
  name: "production",
  uid: "ours",
  controller: true,
};
const DESIRED: DesiredSecret = {
  namespace: "shop",
  name: "production-keystead",
  owner: OWNER,
  labels: { "app.kubernetes.io/managed-by": "keystead" },
  data: { KEYSTEAD_SECRET_KEY: "sk", KEYSTEAD_HOST: "http://keystead" },
};

/** What stands in the cluster: the Secret as it should be, with these differences. */
function existing(changes: Partial<KubeSecret> = {}, owners: readonly OwnerReference[] = [OWNER]): KubeSecret {
  const data = { KEYSTEAD_SECRET_KEY: encode("sk"), KEYSTEAD_HOST: encode("http://keystead") };
  const labels = DESIRED.labels;
  return {
    metadata: { name: DESIRED.name, uid: "s", resourceVersion: "1", ownerReferences: owners, labels },
    data,
    ...changes,
  };
}

function encode(text: string): string {
  return Buffer.from(text).toString("base64");
}

test("a Secret that is not there is created", () => {
  expect(judgeSecret(undefined, DESIRED)).toEqual({ kind: "create" });
});

test("a Secret that is right is left alone, also when it is frozen", () => {
  expect(judgeSecret(existing(), DESIRED)).toEqual({ kind: "equal" });
  expect(judgeSecret(existing({ immutable: true }), DESIRED)).toEqual({ kind: "equal" });
});

test.each([
  { whose: "nobody's", owners: [] },
  { whose: "another Environment's", owners: [{ ...OWNER, uid: "theirs" }] },
  { whose: "one that this Environment owns without controlling it", owners: [{ ...OWNER, controller: false }] },
])("bad case 5: a Secret that is $whose is refused, whatever it holds", ({ owners }) => {
  expect(judgeSecret(existing({}, owners), DESIRED)).toMatchObject({
    kind: "refused",
    outcome: { kind: "stalled", reason: "SecretNotOwned" },
  });
});

test("a further owner beside ours does not matter", () => {
  const owners = [{ ...OWNER, uid: "theirs", controller: false }, OWNER];
  expect(judgeSecret(existing({}, owners), DESIRED)).toEqual({ kind: "equal" });
});

test.each([
  {
    drift: "a changed value",
    data: { KEYSTEAD_SECRET_KEY: encode("x"), KEYSTEAD_HOST: encode("http://keystead") },
    patch: { KEYSTEAD_SECRET_KEY: encode("sk") },
  },
  {
    drift: "a missing value",
    data: { KEYSTEAD_SECRET_KEY: encode("sk") },
    patch: { KEYSTEAD_HOST: encode("http://keystead") },
  },
  {
    drift: "a value too many",
    data: { KEYSTEAD_SECRET_KEY: encode("sk"), KEYSTEAD_HOST: encode("http://keystead"), EXTRA: encode("x") },
    patch: { EXTRA: null },
  },
  {
    drift: "no data at all",
    data: {},
    patch: { KEYSTEAD_SECRET_KEY: encode("sk"), KEYSTEAD_HOST: encode("http://keystead") },
  },
])("$drift is patched, and nothing else is written", ({ data, patch }) => {
  expect(judgeSecret(existing({ data }), DESIRED)).toEqual({ kind: "patch", patch: { data: patch } });
});

test("a label that was taken off comes back, and labels of others stay out of it", () => {
  const metadata = { ...existing().metadata, labels: { team: "sales" } };
  expect(judgeSecret(existing({ metadata }), DESIRED)).toEqual({ kind: "patch", patch: { labels: DESIRED.labels } });
});

test("bad case 5: a frozen Secret with other values cannot be mended, only deleted", () => {
  expect(judgeSecret(existing({ immutable: true, data: {} }), DESIRED)).toMatchObject({
    kind: "refused",
    outcome: { kind: "stalled", reason: "SecretImmutable" },
  });
});
