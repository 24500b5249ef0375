import { expect, test } from "vitest";
import { apiVersionOf, LEASE, resourcePath, SECRET } from "./resource-path.ts";

test.each([
  { why: "core group", kind: SECRET, address: { namespace: "a", name: "b" }, path: "/api/v1/namespaces/a/secrets/b" },
  { why: "all namespaces", kind: SECRET, address: {}, path: "/api/v1/secrets" },
  {
    why: "named group",
    kind: LEASE,
    address: { namespace: "a", name: "b" },
    path: "/apis/coordination.k8s.io/v1/namespaces/a/leases/b",
  },
  {
    why: "subresource",
    kind: LEASE,
    address: { namespace: "a", name: "b", subresource: "status" as const },
    path: "/apis/coordination.k8s.io/v1/namespaces/a/leases/b/status",
  },
  {
    why: "names of roles and the like may hold characters that a path must not",
    kind: SECRET,
    address: { name: "system:node?#" },
    path: "/api/v1/secrets/system%3Anode%3F%23",
  },
])("addresses: $why", ({ kind, address, path }) => {
  expect(resourcePath(kind, address)).toBe(path);
});

test.each(["", ".", "..", "a/b", "%2e%2e", "../secrets"])(
  "bad case 2: the name %j cannot reach another object",
  (name) => {
    expect(() => resourcePath(SECRET, { namespace: "a", name })).toThrow(
      expect.objectContaining({ code: "kube_path_invalid" }),
    );
    expect(() => resourcePath(SECRET, { namespace: name, name: "b" })).toThrow(
      expect.objectContaining({ code: "kube_path_invalid" }),
    );
  },
);

test("spells the apiVersion as manifests do", () => {
  expect([apiVersionOf(SECRET), apiVersionOf(LEASE)]).toEqual(["v1", "coordination.k8s.io/v1"]);
});
