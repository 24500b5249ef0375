import { request, type IncomingMessage } from "node:http";
import { connect as connectTcp, isIPv6, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { Secret } from "../crypto/secret.ts";
import { KeysteadError } from "../errors.ts";
import { type CheckedHost, opened } from "./connect.ts";
import { unreachable } from "./failures.ts";
import type { NoProxy } from "./no-proxy.ts";

/** A proxy that all https goes through. It is not under the policy itself: whoever set it meant it. */
export interface EgressProxy {
  /** `http://` or `https://`; may hold a user name and password. */
  readonly url: Secret;
  readonly noProxy: NoProxy;
}

/**
 * A tunnel to one of the checked addresses (RFC 9110 section 9.3.6). The proxy is given the address and not the name, so
 * that it cannot resolve it to another. They are tried one after the other.
 */
export async function connectThrough(proxy: EgressProxy, host: CheckedHost, signal: AbortSignal): Promise<Socket> {
  let failure: unknown = unreachable(`${host.hostname} has no address`, undefined);
  for (const address of host.addresses) {
    const authority = isIPv6(address) ? `[${address}]:${host.port}` : `${address}:${host.port}`;
    try {
      return await openTunnel(new URL(proxy.url.reveal()), authority, signal);
    } catch (thrown) {
      if (signal.aborted) throw thrown;
      failure = thrown;
    }
  }
  throw failure;
}

async function openTunnel(proxy: URL, authority: string, signal: AbortSignal): Promise<Socket> {
  const socket = await connectToProxy(proxy, signal);
  try {
    const { statusCode } = await askForTunnel(proxy, socket, authority, signal);
    if (statusCode === 200) return socket;
    throw new KeysteadError("outbound_unreachable", `The egress proxy refused with status ${statusCode}.`);
  } catch (thrown) {
    socket.destroy();
    if (signal.aborted) throw signal.reason;
    throw thrown instanceof KeysteadError ? thrown : unreachable("The egress proxy opened no tunnel", thrown);
  }
}

async function askForTunnel(proxy: URL, socket: Socket, authority: string, signal: AbortSignal) {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const headers = { host: authority, ...authorizationOf(proxy) };
  request({ method: "CONNECT", path: authority, createConnection: () => socket, setHost: false, headers, signal })
    .on("connect", resolve)
    .on("response", resolve)
    .on("error", reject)
    .end();
  return promise;
}

function authorizationOf({ username, password }: URL): { "proxy-authorization"?: string } {
  if (username === "") return {};
  const user = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { "proxy-authorization": `Basic ${Buffer.from(user).toString("base64")}` };
}

async function connectToProxy(url: URL, signal: AbortSignal): Promise<Socket> {
  const secure = url.protocol === "https:";
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const port = Number(url.port) || (secure ? 443 : 80);
  const socket = secure ? connectTls({ host, port }) : connectTcp({ host, port, noDelay: true });
  return opened(socket, secure ? "secureConnect" : "connect", "The egress proxy cannot be reached", signal);
}
