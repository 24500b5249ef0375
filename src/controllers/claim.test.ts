import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { connection as manifest } from "../../test/support/resources.ts";
import { createNamespace, kubectl, type TestNamespace } from "../../test/support/servers.ts";
import { createKubeClient, type KubeClient } from "../kube/client.ts";
import { loadIdentity } from "../kube/identity.ts";
import { parseConnection } from "../resources/connection.ts";
import { CONNECTION } from "../resources/kinds.ts";
import { claim } from "./claim.ts";
import { FINALIZER } from "./metadata-names.ts";

let client: KubeClient;
let namespace: TestNamespace;

beforeAll(async () => {
  client = createKubeClient(await loadIdentity({ kubeconfig: inject("controlPlane").kubeconfig, env: {} }));
  namespace = await createNamespace("claim");
});
afterAll(async () => {
  await client[Symbol.asyncDispose]();
});

async function stored(name: string) {
  return parseConnection(JSON.parse(await kubectl(["-n", namespace.name, "get", `connection/${name}`, "-o", "json"])))
    .value;
}

async function connection(name: string) {
  const stdin = JSON.stringify(manifest(name, { environment: "production", integration: "stripe" }));
  await kubectl(["-n", namespace.name, "apply", "-f", "-"], { stdin });
  return stored(name);
}

test("a resource is claimed by our finalizer, and a second time costs no call", async () => {
  const fresh = await connection("acme");
  expect(await claim(client, CONNECTION, fresh, {})).toBe(true);

  const claimed = await stored("acme");
  expect(claimed.metadata.finalizers).toEqual([FINALIZER]);
  expect(await claim(client, CONNECTION, claimed, { signal: AbortSignal.abort() })).toBe(true);
  await kubectl([
    "-n",
    namespace.name,
    "patch",
    "connection/acme",
    "--type=merge",
    "-p",
    '{"metadata":{"finalizers":null}}',
  ]);
});

test("a resource that was deleted meanwhile cannot be claimed, so nothing is stored for it", async () => {
  const ghost = await connection("ghost");
  await kubectl(["-n", namespace.name, "delete", "connection/ghost"]);
  expect(await claim(client, CONNECTION, ghost, {}), "it is gone").toBe(false);

  await connection("ghost");
  expect(await claim(client, CONNECTION, ghost, {}), "another one has its name").toBe(false);
});
