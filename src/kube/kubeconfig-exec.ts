import { delimiter } from "node:path";

import type * as ClientNode from "@kubernetes/client-node";

import { KeysteadError } from "../errors.ts";
import type { Bearer } from "./token-file.ts";

/** How long an answer of the credential plugin is used before the package is asked again; it keeps its own expiry. */
const ASK_AGAIN_MS = 60_000;

interface PluginIdentity {
  readonly bearer: Bearer;
  readonly tls?: { readonly cert?: string; readonly key?: string };
}

/**
 * Identity of a kubeconfig user that names a credential plugin (`exec`) or an `auth-provider`: the protocols that
 * `@kubernetes/client-node` has and nobody should write twice. The import costs 0.7 s and 80 MB, so only these users pay it.
 */
export async function bearerOfClientNode(paths: string, contextName: string): Promise<PluginIdentity> {
  const { KubeConfig } = await importClientNode(paths);
  const config = new KubeConfig();
  const [first] = paths.split(delimiter);
  config.loadFromFile(first ?? paths);
  config.setCurrentContext(contextName);
  let header: string | undefined;
  let askedAt = Number.NEGATIVE_INFINITY;

  const ask = async () => {
    const options: Parameters<typeof config.applyToHTTPSOptions>[0] = {};
    await config.applyToHTTPSOptions(options);
    const headers = options.headers;
    const value = headers && !Array.isArray(headers) ? headers["Authorization"] : undefined;
    header = typeof value === "string" ? value : undefined;
    askedAt = performance.now();
    return { cert: pem(options.cert), key: pem(options.key) };
  };

  const { cert, key } = await ask();
  return {
    bearer: {
      authorization(now, renew) {
        if (!renew && now - askedAt < ASK_AGAIN_MS) return header;
        return ask().then(() => header);
      },
    },
    tls: { ...(cert === undefined ? {} : { cert }), ...(key === undefined ? {} : { key }) },
  };
}

async function importClientNode(paths: string): Promise<typeof ClientNode> {
  try {
    return await import("@kubernetes/client-node");
  } catch (cause) {
    throw new KeysteadError(
      "kube_identity_invalid",
      `The kubeconfig ${paths} uses a credential plugin: install the optional package @kubernetes/client-node, or use a token or a client certificate`,
      { cause },
    );
  }
}

function pem(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  return Buffer.isBuffer(value) ? value.toString("utf8") : undefined;
}
