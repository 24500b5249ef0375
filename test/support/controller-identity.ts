import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { inject } from "vitest";
import { parse } from "yaml";
import { writeTokenKubeconfig } from "../../dev/control-plane/kubeconfig.ts";
import type { KubeClient } from "../../src/kube/client.ts";

const FILES = new URL("../../charts/keystead/files/", import.meta.url);
const RBAC = "/apis/rbac.authorization.k8s.io/v1";
const NAME = "keystead-controller";

/**
 * Kubeconfig of the ServiceAccount that the chart would give the controller, in a namespace of its own. It may do what
 * the chart's rules allow and nothing else, so that a missing right shows in every test.
 */
export async function controllerKubeconfig(client: KubeClient, namespace: string): Promise<string> {
  const own = `${RBAC}/namespaces/${namespace}`;
  const subjects = [{ kind: "ServiceAccount", name: NAME, namespace }];
  const bindingTo = (kind: "Role" | "ClusterRole") => ({
    apiVersion: "rbac.authorization.k8s.io/v1",
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind, name: NAME },
    subjects,
  });
  const account = `/api/v1/namespaces/${namespace}/serviceaccounts/${NAME}`;
  await Promise.all([
    apply(client, account, { apiVersion: "v1", kind: "ServiceAccount" }),
    apply(client, `${RBAC}/clusterroles/${NAME}`, chartFile("controller-clusterrole.yaml")),
    apply(client, `${own}/roles/${NAME}`, chartFile("controller-role.yaml")),
  ]);
  await Promise.all([
    apply(client, `${RBAC}/clusterrolebindings/${namespace}`, {
      ...bindingTo("ClusterRole"),
      kind: "ClusterRoleBinding",
    }),
    apply(client, `${own}/rolebindings/${NAME}`, { ...bindingTo("Role"), kind: "RoleBinding" }),
  ]);
  const { status } = await client.request<{ readonly status: { readonly token: string } }>({
    method: "POST",
    path: `${account}/token`,
    body: { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec: { expirationSeconds: 3_600 } },
  });

  const { kubeconfig } = inject("controlPlane");
  const path = join(dirname(kubeconfig), `controller-${randomBytes(5).toString("hex")}`);
  writeFileSync(`${path}.token`, status.token, { mode: 0o600 });
  return writeTokenKubeconfig(path, kubeconfig, `${path}.token`, namespace);
}

/** Server-side apply. */
async function apply(client: KubeClient, path: string, manifest: object): Promise<void> {
  const body = { metadata: { name: path.slice(path.lastIndexOf("/") + 1) }, ...manifest };
  await client.request({
    method: "PATCH",
    path,
    query: { fieldManager: "keystead-tests", force: "true" },
    contentType: "application/apply-patch+yaml",
    body,
    idempotent: true,
  });
}

function chartFile(file: string): object {
  return parse(readFileSync(new URL(file, FILES), "utf8"));
}
