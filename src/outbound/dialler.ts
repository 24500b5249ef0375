import { isIP, type Socket } from "node:net";
import { KeysteadError } from "../errors.ts";
import type { AllowEntry } from "./allow-list.ts";
import { connectDirect, startTls } from "./connect.ts";
import { connectThrough, type EgressProxy } from "./egress-proxy.ts";
import { unreachable } from "./failures.ts";
import { judge } from "./policy.ts";
import { createResolver, type Resolve } from "./resolver.ts";

/** What decides where calls go. */
export interface DiallerOptions {
  /** What may be called beyond the public internet. */
  readonly allow: readonly AllowEntry[];
  /** Default: as the system resolves, `/etc/hosts` and search domains included. */
  readonly resolve?: Resolve;
  /** Through which https goes; direct without. */
  readonly proxy?: EgressProxy | undefined;
  /** Certificates, in PEM, that are trusted instead of Node's own and those of `NODE_EXTRA_CA_CERTS`. */
  readonly ca?: readonly string[];
}

/** Where to connect to. */
export interface Destination {
  /** As `URL.hostname` has it, without the brackets of IPv6. */
  readonly hostname: string;
  readonly port: number;
  /** Whether TLS is spoken; the certificate has to be for `hostname`. */
  readonly secure: boolean;
  /** Namespace of the resource that asks, for entries of the list that are for one. */
  readonly namespace: string | undefined;
}

/** Opens connections that the policy allows. */
export interface Dialler {
  /**
   * Resolves the name, checks each address, and connects to one of those and no other: the name is not asked for again,
   * so an answer that changes between check and use changes nothing.
   * Rejects with `outbound_refused`, `outbound_unreachable`, `outbound_tls_invalid`, or the reason of the signal.
   */
  dial(destination: Destination, signal: AbortSignal): Promise<Socket>;
  /** The namespace, where the list says something about it; all others are treated alike and may share connections. */
  listedNamespace(namespace: string | undefined): string | undefined;
}

export function createDialler({ allow, resolve = createResolver(), proxy, ca }: DiallerOptions): Dialler {
  const namespaces = new Set(allow.map(({ namespace }) => namespace));
  return {
    async dial({ hostname, port, secure, namespace }, signal) {
      const addresses = isIP(hostname) === 0 ? await addressesOf(resolve, hostname, signal) : [hostname];
      const verdict = judge(allow, { hostname, secure, addresses, namespace });
      if (verdict.kind === "refused") {
        throw new KeysteadError("outbound_refused", `${hostname} must not be called: ${verdict.why}.`);
      }
      const host = { hostname, port, addresses };
      const usesProxy = proxy && secure && !proxy.noProxy.exempts(hostname, addresses);
      const socket = usesProxy ? await connectThrough(proxy, host, signal) : await connectDirect(host, signal);
      return secure ? startTls(socket, hostname, ca, signal) : socket;
    },
    listedNamespace: (namespace) => (namespaces.has(namespace) ? namespace : undefined),
  };
}

/** Whether or not the resolver can be told to stop, its answer is waited for no longer when the signal fires. */
async function addressesOf(resolve: Resolve, hostname: string, signal: AbortSignal): Promise<readonly string[]> {
  signal.throwIfAborted();
  const givenUp = Promise.withResolvers<never>();
  const giveUp = (): void => givenUp.reject(signal.reason);
  signal.addEventListener("abort", giveUp, { once: true });
  try {
    return await Promise.race([resolve(hostname, signal), givenUp.promise]);
  } catch (thrown) {
    if (signal.aborted) throw signal.reason;
    throw unreachable(`The name ${hostname} cannot be resolved`, thrown);
  } finally {
    signal.removeEventListener("abort", giveUp);
  }
}
