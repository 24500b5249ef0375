import { resolve } from "node:path";
import type * as ClientNode from "@kubernetes/client-node";
import { KeysteadError } from "../errors.ts";
import type { Bearer } from "./token-file.ts";

/** How long an answer of the plugin is used before the package is asked again; it heeds the expiry that the plugin named. */
const ASK_AGAIN_MS = 60_000;

/** The parts of a kubeconfig that a context picks, as they stand in the file. */
export interface PluginConfig {
  /** Names the kubeconfig in messages. */
  readonly path: string;
  /** What relative paths start from. */
  readonly directory: string;
  readonly cluster: object;
  readonly user: { readonly exec?: unknown };
}

/** What a plugin gave: a token, a client certificate, or both. */
export interface PluginIdentity {
  readonly bearer: Bearer;
  readonly tls: { readonly cert?: string; readonly key?: string };
}

/**
 * Identity of a kubeconfig user that names a credential plugin (`exec`) or an `auth-provider`: the protocols that
 * `@kubernetes/client-node` has and nobody should write twice. Importing it costs 0.7 s and 80 MB, so only these users pay.
 * A client certificate that the plugin gives is used for as long as the process lives.
 */
export async function askCredentialPlugin(plugin: PluginConfig): Promise<PluginIdentity> {
  const { KubeConfig } = await importClientNode(plugin.path);
  const config = new KubeConfig();
  const context = { name: "chosen", context: { cluster: "chosen", user: "chosen" } };
  config.loadFromString(
    JSON.stringify({
      clusters: [{ name: "chosen", cluster: plugin.cluster }],
      users: [{ name: "chosen", user: withAbsoluteCommand(plugin) }],
      contexts: [context],
      "current-context": context.name,
    }),
  );
  let header: string | undefined;
  let askedAt = Number.NEGATIVE_INFINITY;

  const ask = async (): Promise<PluginIdentity["tls"]> => {
    // Before the answer: meanwhile the known token serves, and a plugin that fails is not asked by every call.
    askedAt = performance.now();
    const options: Parameters<typeof config.applyToHTTPSOptions>[0] = {};
    try {
      await config.applyToHTTPSOptions(options);
    } catch (cause) {
      throw new KeysteadError(
        "kube_identity_invalid",
        `The credential plugin of the kubeconfig ${plugin.path} failed`,
        {
          cause,
        },
      );
    }
    const { headers, cert, key } = options;
    const value = headers !== undefined && !Array.isArray(headers) ? headers["Authorization"] : undefined;
    header = typeof value === "string" ? value : undefined;
    return {
      ...(cert === undefined ? {} : { cert: String(cert) }),
      ...(key === undefined ? {} : { key: String(key) }),
    };
  };

  let asking: Promise<unknown> | undefined;
  const askOnce = (): Promise<unknown> => {
    asking ??= ask().finally(() => {
      asking = undefined;
    });
    return asking;
  };

  const tls = await ask();
  return {
    tls,
    bearer: {
      authorization(now, renew) {
        if (renew) return askOnce().then(() => header);
        if (now - askedAt < ASK_AGAIN_MS) return header;
        // What the plugin gave before is good until the API server refuses it, which is asked with `renew`.
        return askOnce().then(
          () => header,
          () => header,
        );
      },
    },
  };
}

/** A command with a slash is relative to the file that names it, as with kubectl; the package would take the working directory. */
function withAbsoluteCommand({ user, directory }: PluginConfig): object {
  const { exec } = user;
  if (typeof exec !== "object" || exec === null || !("command" in exec)) return user;
  const { command } = exec;
  if (typeof command !== "string" || !command.includes("/")) return user;
  return { ...user, exec: { ...exec, command: resolve(directory, command) } };
}

async function importClientNode(path: string): Promise<typeof ClientNode> {
  try {
    return await import("@kubernetes/client-node");
  } catch (cause) {
    throw new KeysteadError(
      "kube_identity_invalid",
      `The kubeconfig ${path} uses a credential plugin: install the optional package @kubernetes/client-node, or use a token or a client certificate`,
      { cause },
    );
  }
}
