import { readFileSync } from "node:fs";
import { join } from "node:path";
import { findBinaries } from "./control-plane/binaries.ts";
import type { Progress } from "./control-plane/binaries.ts";
import type { Child } from "./processes/child-process.ts";
import type { ChildProcesses } from "./processes/child-processes.ts";
import { startControlPlane } from "./control-plane/control-plane.ts";
import { createKubectl, onPath } from "./control-plane/kubectl.ts";
import type { Kubectl } from "./control-plane/kubectl.ts";
import { writeText } from "./state-file.ts";

/** The Kubernetes that the workbench works on, ours or the user's. */
export interface Cluster {
  /** As its administrator. */
  readonly kubectl: Kubectl;
  /** Path; names no file but itself, so it can be copied. */
  readonly kubeconfig: string;
  /** True for the control plane that lives in the data folder. */
  readonly local: boolean;
  readonly parts: readonly Child[];
  /** Rows for the table of what is running. */
  readonly rows: readonly (readonly string[])[];
  /** What does not work in this cluster, if anything. */
  readonly warning: string | undefined;
}

export interface ClusterOptions {
  readonly directory: string;
  readonly children: ChildProcesses;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** Starts the local control plane of the data folder. */
export async function startLocalCluster(options: ClusterOptions): Promise<Cluster> {
  const binaries = await findBinaries(options.progress, options.signal);
  options.progress("starting the control plane");
  const startedAt = Date.now();
  const controlPlane = await startControlPlane({
    directory: join(options.directory, "control-plane"),
    binaries,
    children: options.children,
    durable: true,
    audit: false,
  });
  options.progress(`the control plane is up after ${((Date.now() - startedAt) / 1000).toFixed(1)} s`);
  const kubeconfig = join(options.directory, "kubeconfig");
  writeText(kubeconfig, readFileSync(controlPlane.kubeconfig, "utf8"));
  return {
    kubectl: createKubectl(
      join(binaries.directory, "kubectl"),
      kubeconfig,
      join(options.directory, "kubectl-cache"),
      options.signal,
    ),
    kubeconfig,
    local: true,
    parts: controlPlane.parts,
    rows: controlPlane.parts.map((part) => [
      part.name,
      part.name === "kube-apiserver" ? controlPlane.url : "",
      `pid ${part.pid}`,
    ]),
    warning: binaries.controllerManager ? undefined : WITHOUT_CONTROLLER_MANAGER,
  };
}

const WITHOUT_CONTROLLER_MANAGER =
  "These binaries come without kube-controller-manager: deleted namespaces stay Terminating and owned objects are not " +
  "collected. With Go installed, KEYSTEAD_DEV_BINARIES=go builds a complete control plane (docs/workbench.md).";

/**
 * Uses a context of the user's own kubeconfig. The user's file is only read: the context is copied out into the data folder's
 * kubeconfig, which every later command names, so that a switch of context meanwhile changes nothing.
 */
export async function useContext(context: string, options: ClusterOptions): Promise<Cluster> {
  const program =
    onPath("kubectl") ?? join((await findBinaries(options.progress, options.signal)).directory, "kubectl");
  const cache = join(options.directory, "kubectl-cache");
  const copy = await createKubectl(
    program,
    undefined,
    cache,
    options.signal,
  )(["config", "view", "--raw", "--minify", "--flatten", "--context", context]);
  const kubeconfig = join(options.directory, "kubeconfig");
  writeText(kubeconfig, copy);
  const kubectl = createKubectl(program, kubeconfig, cache, options.signal);
  options.progress(`asking the cluster of context ${context} for its version`);
  await kubectl(["get", "--raw", "/version", "--request-timeout=10s"]);
  return {
    kubectl,
    kubeconfig,
    local: false,
    parts: [],
    rows: [["cluster", `context ${context}`, ""]],
    warning: undefined,
  };
}
