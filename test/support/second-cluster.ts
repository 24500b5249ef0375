import { join } from "node:path";
import { findBinaries } from "../../dev/control-plane/binaries.ts";
import { startControlPlane } from "../../dev/control-plane/control-plane.ts";
import { createChildProcesses } from "../../dev/processes/child-processes.ts";
import { makeScratchDirectory } from "../../dev/processes/scratch-directory.ts";
import { createKubeClient } from "../../src/kube/client.ts";
import { loadIdentity } from "../../src/kube/identity.ts";
import { NAMESPACE, resourcePath } from "../../src/kube/resource-path.ts";
import { type Objects, objectsOf } from "./cluster.ts";
import { installCrds } from "./crds.ts";
import { eventually } from "./eventually.ts";

/** A control plane beside that of the run, with our CRDs and one namespace. */
export interface SecondCluster extends AsyncDisposable {
  readonly namespace: string;
  readonly objects: Objects;
  /** What a controller has to be started with to work on it, with all rights. */
  readonly environment: Readonly<Record<string, string>>;
}

/** Starts it, which takes 3 s. */
export async function startSecondCluster(namespace: string): Promise<SecondCluster> {
  await using stack = new AsyncDisposableStack();
  const directory = await makeScratchDirectory();
  const children = stack.use(createChildProcesses(directory, true));
  const binaries = await findBinaries((line) => process.stderr.write(`${line}\n`));
  const { kubeconfig } = await startControlPlane({
    directory: join(directory, "control-plane"),
    binaries,
    children,
    durable: false,
    audit: false,
  });
  const client = stack.use(createKubeClient(await loadIdentity({ kubeconfig, env: {} })));
  await client.request({ method: "POST", path: resourcePath(NAMESPACE), body: { metadata: { name: namespace } } });
  await installCrds(client);
  // Its uid stands for the cluster, and the API server makes it a moment after it is ready.
  await eventually(() => client.request({ method: "GET", path: resourcePath(NAMESPACE, { name: "kube-system" }) }));
  const owned = stack.move();
  return {
    namespace,
    objects: objectsOf(client, namespace),
    environment: {
      KUBECONFIG: kubeconfig,
      KEYSTEAD_NAMESPACE: namespace,
      KEYSTEAD_WATCH_NAMESPACES: namespace,
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
