import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { type KubeClient, createKubeClient } from "../src/kube/client.ts";
import { loadIdentity } from "../src/kube/identity.ts";
import { createNamespace, kubectl, type TestNamespace } from "./support/servers.ts";

const FILES = new URL("../charts/keystead/files/", import.meta.url);

let client: KubeClient;
let namespace: TestNamespace;

beforeAll(async () => {
  client = createKubeClient(await loadIdentity({ kubeconfig: inject("controlPlane").kubeconfig, env: {} }));
  namespace = await createNamespace("rights");
  for (const file of ["controller-clusterrole.yaml", "controller-role.yaml"]) {
    const stdin = readFileSync(new URL(file, FILES), "utf8");
    await kubectl(["-n", namespace.name, "apply", "--server-side", "--field-manager=keystead-tests", "-f", "-"], {
      stdin,
    });
  }
  const subject = `--serviceaccount=${namespace.name}:controller`;
  const bind = (...args: string[]) => kubectl(["-n", namespace.name, "create", ...args, subject]);
  await bind("rolebinding", "controller", "--clusterrole=keystead-controller");
  await bind("rolebinding", "controller-own", "--role=keystead-controller");
});

afterAll(async () => {
  await client[Symbol.asyncDispose]();
});

test.each([
  { verb: "patch", resource: "connections.keystead.dev/status", allowed: true },
  { verb: "get", resource: "secrets", allowed: true },
  { verb: "update", resource: "leases.coordination.k8s.io", allowed: true },
  { verb: "update", resource: "connections.keystead.dev", allowed: false },
  { verb: "delete", resource: "environments.keystead.dev", allowed: false },
  { verb: "create", resource: "connections.keystead.dev", allowed: false },
  { verb: "deletecollection", resource: "secrets", allowed: false },
  { verb: "delete", resource: "leases.coordination.k8s.io", allowed: false },
  { verb: "list", resource: "serviceaccounts", allowed: true },
  { verb: "get", resource: "serviceaccounts", allowed: false },
  { verb: "get", resource: "pods", allowed: false },
  { verb: "create", resource: "serviceaccounts/token", allowed: false },
  { verb: "impersonate", resource: "users", allowed: false },
])("the controller's ServiceAccount: may it $verb $resource? $allowed", async ({ verb, resource, allowed }) => {
  const [plural = "", subresource] = resource.split("/");
  const [name = "", ...group] = plural.split(".");

  const review = await client.request<{ readonly status: { readonly allowed: boolean } }>({
    method: "POST",
    path: "/apis/authorization.k8s.io/v1/subjectaccessreviews",
    body: {
      apiVersion: "authorization.k8s.io/v1",
      kind: "SubjectAccessReview",
      spec: {
        user: `system:serviceaccount:${namespace.name}:controller`,
        resourceAttributes: { namespace: namespace.name, verb, group: group.join("."), resource: name, subresource },
      },
    },
  });

  expect(review.status.allowed).toBe(allowed);
});
