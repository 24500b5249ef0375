import { createCidrCheck, plainAddress, type Cidr } from "../cidr.ts";

/** Hops that are followed back; a chain that is longer was made up. */
const MAX_HOPS = 32;

/** For a connection that is gone before anybody asked where it came from: the unspecified address (RFC 1122 section 3.2.1.3). */
const UNSPECIFIED = "0.0.0.0";

/**
 * Gives the address of whoever sent a request: the peer, unless that is a proxy that is trusted. Then its
 * `X-Forwarded-For` is followed from the right, as each proxy adds the address that it was called from, up to the first
 * one that is not trusted; what stands further left was written by the caller. A hop that is no address ends the way at
 * the proxy that reported it.
 */
export function createClientAddress(trusted: readonly Cidr[]) {
  const isTrusted = createCidrCheck(trusted);
  return (peer: string | undefined, forwardedFor: string | readonly string[] | undefined): string => {
    let address = peer === undefined ? undefined : plainAddress(peer);
    if (address === undefined) return UNSPECIFIED;
    if (forwardedFor === undefined || trusted.length === 0) return address;
    const hops = [forwardedFor].flat().join(",").split(",").slice(-MAX_HOPS);
    while (isTrusted(address)) {
      const next = hopAddress(hops.pop() ?? "");
      if (next === undefined) break;
      address = next;
    }
    return address;
  };
}

/** Some proxies add the port: `192.0.2.1:1234`, `[2001:db8::1]:1234`. */
function hopAddress(hop: string): string | undefined {
  const text = hop.trim();
  return plainAddress(/^\[(.*)\](?::\d+)?$/.exec(text)?.[1] ?? /^([\d.]+):\d+$/.exec(text)?.[1] ?? text);
}
