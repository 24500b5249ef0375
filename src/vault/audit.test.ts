import { expect, test } from "vitest";
import { newOwner } from "../../test/support/vault.ts";
import { actorColumns, targetKindOf } from "./audit.ts";

test("a resource is named by its uid alone, because its name may be a customer's", () => {
  const owner = newOwner("customer-name");
  expect(actorColumns({ kind: "resource", owner: { ...owner, fieldManager: "argocd" } })).toEqual([
    "resource",
    owner.uid,
    "argocd",
    null,
  ]);
  expect(actorColumns({ kind: "resource", owner })).toEqual(["resource", owner.uid, null, null]);
});

test("a key is named by its fingerprint and the address it was used from, a ServiceAccount by namespace and name, a part of Keystead by its name", () => {
  const key = { kind: "key", fingerprint: "0123456789ab", address: "10.0.0.1" } as const;
  expect(actorColumns(key)).toEqual(["key", "0123456789ab", null, "10.0.0.1"]);
  const account = { kind: "service-account", account: "shop/app", address: "10.0.0.1" } as const;
  expect(actorColumns(account)).toEqual(["service-account", "shop/app", null, "10.0.0.1"]);
  expect(actorColumns({ kind: "system", name: "purger" })).toEqual(["system", "purger", null, null]);
});

test("an action says what kind of thing it was done to", () => {
  expect(targetKindOf("connection.credentials-read")).toBe("connection");
  expect(targetKindOf("environment.deleted")).toBe("environment");
});
