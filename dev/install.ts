import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import type { Kubectl } from "./control-plane/kubectl.ts";

/** Where the controller would run; its Lease stands here. */
export const CONTROLLER_NAMESPACE = "keystead-system";
export const CONTROLLER_ACCOUNT = "keystead-controller";

const ROOT = join(import.meta.dirname, "..");

/** Names the fields that the workbench set, so that a later start changes those and no other. */
const FIELD_MANAGER = "--field-manager=keystead-start";

/**
 * Installs the CRDs and the controller's rights, the very files that the chart is made of, and resolves when the API server serves the
 * three kinds. A second time it changes nothing.
 */
export async function install(kubectl: Kubectl): Promise<void> {
  const crds = yamlFiles("crds");
  // In this order: the first is the namespace that others stand in.
  const manifests = [...accountAndBindings(), ...yamlFiles("charts/keystead/files"), ...crds].join("\n---\n");
  // Conflicts are forced: the files are the truth about the rights, whatever somebody tried out in the cluster.
  const apply = ["apply", "--server-side", "--force-conflicts", FIELD_MANAGER, "-n", CONTROLLER_NAMESPACE, "-f", "-"];
  await kubectl(apply, manifests);
  await kubectl(["wait", "--for=condition=Established", "--timeout=30s", "-f", "-"], crds.join("\n---\n"));
}

/** Applies `examples/`. */
export async function applyExamples(kubectl: Kubectl): Promise<void> {
  await kubectl(["apply", "--server-side", FIELD_MANAGER, "-f", join(ROOT, "examples")]);
}

function yamlFiles(folder: string): string[] {
  const path = join(ROOT, folder);
  const names = readdirSync(path).filter((name) => name.endsWith(".yaml"));
  return names.toSorted().map((name) => readFileSync(join(path, name), "utf8"));
}

function accountAndBindings(): string[] {
  const metadata = { name: CONTROLLER_ACCOUNT, namespace: CONTROLLER_NAMESPACE };
  const subjects = [{ kind: "ServiceAccount", ...metadata }];
  const roleRef = (kind: string): object => ({ apiGroup: "rbac.authorization.k8s.io", kind, name: CONTROLLER_ACCOUNT });
  const rbac = "rbac.authorization.k8s.io/v1";
  const clusterWide = { name: CONTROLLER_ACCOUNT };
  return [
    { apiVersion: "v1", kind: "Namespace", metadata: { name: CONTROLLER_NAMESPACE } },
    { apiVersion: "v1", kind: "ServiceAccount", metadata },
    { apiVersion: rbac, kind: "ClusterRoleBinding", metadata: clusterWide, subjects, roleRef: roleRef("ClusterRole") },
    { apiVersion: rbac, kind: "RoleBinding", metadata, subjects, roleRef: roleRef("Role") },
  ].map((manifest) => stringify(manifest));
}
