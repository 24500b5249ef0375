import { expect, test } from "vitest";
import { parsedConnection, parsedEnvironment, parsedIntegration } from "../../test/support/parsed-resources.ts";
import { asksForPass, concernsDependents, splitTarget, targetKey, targetsOf } from "./targets.ts";

test("a target's name can be taken apart again", () => {
  const target = targetKey("Secret", "shop/a.b-c");
  expect(splitTarget(target)).toEqual({ kind: "Secret", key: "shop/a.b-c" });
});

test("an Environment depends on the Secrets it reads and the one it writes", () => {
  const variables = [{ name: "A", valueFrom: { secretKeyRef: { name: "app", key: "a" } } }];
  const value = parsedEnvironment("production", { variables });
  expect(targetsOf({ ok: true, value })).toEqual(["Secret shop/app", "Secret shop/production-keystead"]);
});

test("an Integration depends on its Environment and its client's Secrets", () => {
  const value = parsedIntegration("stripe", { clientSecretRef: { name: "client", key: "secret" } });
  expect(targetsOf({ ok: true, value })).toEqual(["Secret shop/client", "Environment shop/production"]);
});

test("a Connection depends on its Secret, its Environment and its Integration", () => {
  expect(targetsOf({ ok: true, value: parsedConnection() })).toEqual([
    "Secret shop/acme",
    "Environment shop/production",
    "Integration shop/stripe",
  ]);
});

test("what is not there or cannot be read depends on nothing", () => {
  expect(targetsOf(undefined)).toEqual([]);
  const { spec: _, ...value } = parsedConnection();
  expect(targetsOf({ ok: false, message: "spec is wrong.", value })).toEqual([]);
});

const FINALIZER = ["keystead.dev/finalizer"];

test.each([
  { change: "our own status", now: { resourceVersion: "2" }, asks: false },
  { change: "our own finalizer", now: { finalizers: FINALIZER }, asks: false },
  { change: "an annotation of somebody else", now: { annotations: { "example.com/note": "x" } }, asks: false },
  { change: "a spec", now: { generation: 2 }, asks: true },
  { change: "a deletion", now: { deletionTimestamp: "2026-11-24T07:00:00Z" }, asks: true },
  { change: "another object of that name", now: { uid: "another" }, asks: true },
  { change: "a label, which an Integration may select by", now: { labels: { team: "sales" } }, asks: true },
  { change: "an annotation of ours", now: { annotations: { "keystead.dev/note": "x" } }, asks: true },
])("a pass follows from $change: $asks", ({ now, asks }) => {
  expect(asksForPass(parsedConnection(), parsedConnection("acme", {}, now))).toBe(asks);
});

test("a pass follows when our finalizer was taken off by somebody else", () => {
  const before = parsedConnection("acme", {}, { finalizers: FINALIZER });
  expect(asksForPass(before, parsedConnection())).toBe(true);
});

test.each([
  { change: "its first appearance", before: undefined, now: {}, concerns: true },
  { change: "our own status", before: {}, now: { resourceVersion: "2" }, concerns: false },
  { change: "an edit, of which nothing is theirs", before: {}, now: { generation: 2 }, concerns: false },
  { change: "its deletion", before: {}, now: { deletionTimestamp: "2026-11-24T07:00:00Z" }, concerns: true },
  { change: "another object of that name", before: {}, now: { uid: "another" }, concerns: true },
])("dependents of an Environment have to hear of $change: $concerns", ({ before, now, concerns }) => {
  const known = before && parsedEnvironment("production", {}, before);
  expect(concernsDependents("Environment", known, parsedEnvironment("production", {}, now))).toBe(concerns);
});

test("dependents of an Integration have to hear of an edit, which may let others in", () => {
  const before = parsedEnvironment("github", {}, {});
  expect(concernsDependents("Integration", before, parsedEnvironment("github", {}, { generation: 2 }))).toBe(true);
});
