import { cp, mkdtempDisposable, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, inject, test } from "vitest";
import { createNamespace, kubectl } from "../../test/support/servers.ts";
import type { KubeClient } from "./client.ts";
import { createKubeClient } from "./client.ts";
import { loadIdentity } from "./identity.ts";

/** The files of a pod's ServiceAccount, as the kubelet would mount them. */
async function serviceAccountDirectory(namespace: string) {
  const directory = await mkdtempDisposable(join(tmpdir(), "keystead-pod-"));
  const admin = await loadIdentity({ kubeconfig: inject("controlPlane").kubeconfig, env: {} });
  const token = await kubectl(["create", "token", "default", "-n", namespace]);
  await writeFile(join(directory.path, "ca.crt"), admin.server.tls.ca ?? "");
  await writeFile(join(directory.path, "token"), token);
  await writeFile(join(directory.path, "namespace"), namespace);
  return directory;
}

/** The name under which the API server knows the caller. */
async function whoAmI(client: KubeClient): Promise<string> {
  const review = await client.request<{ status: { userInfo: { username: string } } }>({
    method: "POST",
    path: "/apis/authentication.k8s.io/v1/selfsubjectreviews",
    body: { apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" },
  });
  return review.status.userInfo.username;
}

test("a pod acts as its ServiceAccount on the real API server", async () => {
  const namespace = await createNamespace("identity");
  await kubectl(["create", "serviceaccount", "default", "-n", namespace.name]).catch(() => undefined);
  await using directory = await serviceAccountDirectory(namespace.name);
  const { hostname, port } = new URL(inject("controlPlane").url);
  const identity = await loadIdentity({
    env: { KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: port },
    serviceAccountDirectory: directory.path,
  });
  expect(identity.namespace).toBe(namespace.name);
  await using client = createKubeClient(identity);
  expect(await whoAmI(client)).toBe(`system:serviceaccount:${namespace.name}:default`);
});

test("a pod whose token has been replaced goes on with the new one, on the real API server", async () => {
  const namespace = await createNamespace("identity");
  await kubectl(["create", "serviceaccount", "default", "-n", namespace.name]).catch(() => undefined);
  await using directory = await serviceAccountDirectory(namespace.name);
  const path = join(directory.path, "token");
  const fresh = await readFile(path, "utf8");
  await writeFile(path, "what-has-expired");
  const { hostname, port } = new URL(inject("controlPlane").url);
  const env = { KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: port };
  await using client = createKubeClient(await loadIdentity({ env, serviceAccountDirectory: directory.path }));
  await expect(whoAmI(client)).rejects.toMatchObject({ code: "kube_unauthorized" });
  await writeFile(path, fresh);
  expect(await whoAmI(client)).toBe(`system:serviceaccount:${namespace.name}:default`);
});

test.each([
  { why: "KUBECONFIG", env: { KUBECONFIG: "the file" }, kubeconfig: undefined },
  { why: "the option, before KUBECONFIG", env: { KUBECONFIG: "/nowhere" }, kubeconfig: "the file" },
])("a kubeconfig wins over the pod: $why", async ({ env, kubeconfig }) => {
  const file = inject("controlPlane").kubeconfig;
  const identity = await loadIdentity({
    env: {
      KUBERNETES_SERVICE_HOST: "10.0.0.1",
      KUBERNETES_SERVICE_PORT: "443",
      KUBECONFIG: env.KUBECONFIG.replace("the file", file),
    },
    kubeconfig: kubeconfig && file,
  });
  expect(`https://${identity.server.host}:${identity.server.port}`).toBe(inject("controlPlane").url);
});

test("outside a pod and without a kubeconfig the error says what to set; ~/.kube/config is not taken", async () => {
  await using home = await mkdtempDisposable(join(tmpdir(), "keystead-home-"));
  await cp(inject("controlPlane").kubeconfig, join(home.path, ".kube", "config"));
  expect(await readFile(join(home.path, ".kube", "config"), "utf8")).toContain("clusters");
  await expect(loadIdentity({ env: { HOME: home.path } })).rejects.toMatchObject({
    code: "kube_identity_invalid",
    message: expect.stringContaining("KUBECONFIG"),
  });
});

test("a pod without a mounted token is told which file is missing", async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), "keystead-pod-"));
  const env = { KUBERNETES_SERVICE_HOST: "10.0.0.1", KUBERNETES_SERVICE_PORT: "443" };
  await expect(loadIdentity({ env, serviceAccountDirectory: directory.path })).rejects.toMatchObject({
    code: "kube_identity_invalid",
    message: expect.stringContaining(join(directory.path, "ca.crt")),
  });
});
