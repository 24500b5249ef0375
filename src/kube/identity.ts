import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { KeysteadError } from "../errors.ts";
import type { Identity } from "./server-address.ts";
import { tokenFile } from "./token-file.ts";

export type { Identity };

/** Where to look for an identity. */
export interface LoadIdentityOptions {
  /** Path; several are merged as kubectl does, separated by `:`. Wins over the cluster the process runs in. */
  readonly kubeconfig?: string | undefined;
  /** Context of the kubeconfig; its `current-context` by default. */
  readonly context?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Where a pod finds its ServiceAccount; only tests have another. */
  readonly serviceAccountDirectory?: string;
}

/** Where the kubelet mounts the token, the CA and the namespace of a pod. */
const SERVICE_ACCOUNT_DIRECTORY = "/var/run/secrets/kubernetes.io/serviceaccount";

/**
 * The identity this process has: the named kubeconfig (or the one `KUBECONFIG` names), else that of the pod it runs in.
 * `~/.kube/config` is never read by itself: Keystead must not act on whatever cluster a person happens to have chosen.
 *
 * Throws `kube_identity_invalid`, which names the file and the field, but no value.
 */
export async function loadIdentity(options: LoadIdentityOptions): Promise<Identity> {
  const kubeconfig = options.kubeconfig ?? options.env["KUBECONFIG"];
  if (kubeconfig === undefined || kubeconfig === "") return loadInCluster(options);
  // Brings a YAML parser along, which a pod never needs: 2 MB.
  const { loadKubeconfig } = await import("./kubeconfig.ts");
  return loadKubeconfig(kubeconfig, options.context);
}

async function loadInCluster(options: LoadIdentityOptions): Promise<Identity> {
  const host = options.env["KUBERNETES_SERVICE_HOST"];
  const port = Number(options.env["KUBERNETES_SERVICE_PORT"]);
  if (host === undefined || host === "" || !Number.isInteger(port)) {
    throw new KeysteadError(
      "kube_identity_invalid",
      "No API server is known: set KUBECONFIG to a kubeconfig file, or run in a pod (KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set)",
    );
  }
  const directory = options.serviceAccountDirectory ?? SERVICE_ACCOUNT_DIRECTORY;
  // One after the other, so that it is always the first missing one that is named.
  const ca = await readPart(directory, "ca.crt");
  const namespace = await readPart(directory, "namespace");
  return {
    server: { protocol: "https:", host, port, basePath: "", tls: { ca, skipVerify: false } },
    bearer: tokenFile(join(directory, "token")),
    namespace: namespace.trim(),
  };
}

async function readPart(directory: string, name: string): Promise<string> {
  try {
    return await readFile(join(directory, name), "utf8");
  } catch (cause) {
    throw new KeysteadError(
      "kube_identity_invalid",
      `The pod's ServiceAccount is not complete: ${join(directory, name)} cannot be read (is automountServiceAccountToken off?)`,
      { cause },
    );
  }
}
