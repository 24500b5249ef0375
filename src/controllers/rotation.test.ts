import { expect, test } from "vitest";
import type { ApiKeyState } from "../vault/api-key.ts";
import type { EnvironmentState, ReplacedKey } from "../vault/environment.ts";
import { dueInMs, rotationCause } from "./rotation.ts";

const STATE: EnvironmentState = {
  id: "01930000-0000-7000-8000-000000000000",
  revision: 1,
  publicKey: "ks_pk_",
  retentionSeconds: 3_600,
  secretKeyFingerprint: "0123456789ab",
  secretKeyIssuedAt: new Date(0),
  lastHandledRotation: undefined,
  lastHandledDataKeyRotation: undefined,
  nextRotation: undefined,
  replacedKeys: [],
  apiKeys: [],
  serviceAccounts: [],
  digests: { declaration: "", variables: "" },
  sources: [],
  handledRestore: undefined,
};

const dueIn = (inMs: number): EnvironmentState["nextRotation"] => ({ at: new Date(0), inMs });
const endingIn = (inMs: number): ReplacedKey => ({
  name: "main",
  fingerprint: "ba9876543210",
  end: { at: new Date(0), inMs },
  isPending: false,
});

const KEY: ApiKeyState = {
  name: "reporting",
  scopes: ["connections:list"],
  connectionSelector: undefined,
  expiresAfterSeconds: undefined,
  lastHandledRotation: undefined,
  fingerprint: undefined,
  end: undefined,
};

test.each([
  { why: "nothing is asked for", state: {}, token: undefined, cause: undefined },
  { why: "the first token", state: {}, token: "a", cause: { kind: "token", token: "a" } },
  { why: "a handled token", state: { lastHandledRotation: "a" }, token: "a", cause: undefined },
  { why: "a token that went", state: { lastHandledRotation: "a" }, token: undefined, cause: undefined },
  { why: "another token", state: { lastHandledRotation: "a" }, token: "b", cause: { kind: "token", token: "b" } },
  { why: "a schedule that is not due", state: { nextRotation: dueIn(1) }, token: undefined, cause: undefined },
  { why: "a due schedule", state: { nextRotation: dueIn(0) }, token: undefined, cause: { kind: "schedule" } },
  {
    why: "a new token while the schedule is due: one rotation serves both",
    state: { nextRotation: dueIn(-1) },
    token: "a",
    cause: { kind: "token", token: "a" },
  },
])("whether a key is rotated: $why", ({ state, token, cause }) => {
  expect(rotationCause({ ...STATE, ...state }, token)).toEqual(cause);
});

test.each([
  { why: "nothing is due", state: {}, due: undefined },
  { why: "the schedule alone", state: { nextRotation: dueIn(7) }, due: 7 },
  { why: "the end of the old key comes first", state: { nextRotation: dueIn(7), replacedKeys: [endingIn(5)] }, due: 5 },
  { why: "a named key ends", state: { apiKeys: [{ ...KEY, end: { at: new Date(0), inMs: 3 } }] }, due: 3 },
  { why: "a named key that has no end, or has ended", state: { apiKeys: [KEY] }, due: undefined },
  { why: "something is late", state: { nextRotation: dueIn(-7) }, due: 0 },
])("when a key is looked at again: $why", ({ state, due }) => {
  expect(dueInMs({ ...STATE, ...state })).toBe(due);
});
