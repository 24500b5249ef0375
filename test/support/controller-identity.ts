import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { inject } from "vitest";
import { writeTokenKubeconfig } from "../../dev/control-plane/kubeconfig.ts";
import { kubectl } from "./servers.ts";

const FILES = new URL("../../charts/keystead/files/", import.meta.url);

let installed: Promise<void> | undefined;

/**
 * Kubeconfig of the ServiceAccount that the chart would give the controller, in a namespace of its own. It may do what
 * the chart's rules allow and nothing else, so that a missing right shows in every test.
 */
export async function controllerKubeconfig(namespace: string): Promise<string> {
  installed ??= installClusterRole();
  await installed;
  const account = `${namespace}:keystead-controller`;
  await kubectl(["-n", namespace, "create", "serviceaccount", "keystead-controller"]);
  await kubectl(["-n", namespace, "apply", "-f", "-"], { stdin: manifest("controller-role.yaml") });
  await kubectl([
    "create",
    "clusterrolebinding",
    namespace,
    "--clusterrole=keystead-controller",
    `--serviceaccount=${account}`,
  ]);
  const role = ["rolebinding", "keystead-controller", "--role=keystead-controller"];
  await kubectl(["-n", namespace, "create", ...role, `--serviceaccount=${account}`]);
  const token = await kubectl(["-n", namespace, "create", "token", "keystead-controller", "--duration=1h"]);

  const { kubeconfig } = inject("controlPlane");
  const path = join(dirname(kubeconfig), `controller-${randomBytes(5).toString("hex")}`);
  writeFileSync(`${path}.token`, token.trim(), { mode: 0o600 });
  return writeTokenKubeconfig(path, kubeconfig, `${path}.token`, namespace);
}

function installClusterRole(): Promise<void> {
  const apply = ["apply", "--server-side", "--field-manager=keystead-tests", "-f", "-"];
  return kubectl(apply, { stdin: manifest("controller-clusterrole.yaml") }).then(() => undefined);
}

function manifest(file: string): string {
  return readFileSync(new URL(file, FILES), "utf8");
}
