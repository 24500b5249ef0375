import { type BlockList, isIP } from "node:net";
import { blockList, contains, plainAddress } from "./address.ts";

/** What is called directly although an egress proxy is set. */
export interface NoProxy {
  /** Whether this host, which has these addresses, is called directly. */
  exempts(hostname: string, addresses: readonly string[]): boolean;
}

/**
 * `NO_PROXY` as curl and Go read it: `*`, a host name with everything below it (with or without a leading dot), an
 * address, a network. A network also exempts a name all of whose addresses are in it.
 */
export function parseNoProxy(items: readonly string[]): NoProxy {
  const all = items.includes("*");
  const networks = items.flatMap((item) => networkOf(item) ?? []);
  const suffixes = items
    .filter((item) => networkOf(item) === undefined)
    .map((item) => item.toLowerCase().replace(/^\*?\./, ""));
  return {
    exempts(hostname, addresses) {
      if (all || suffixes.some((suffix) => hostname === suffix || hostname.endsWith(`.${suffix}`))) return true;
      return addresses.length > 0 && addresses.every((address) => isIn(networks, address));
    },
  };
}

function networkOf(item: string): BlockList | undefined {
  const [address = "", prefix] = item.split("/");
  const family = isIP(address);
  if (family === 0 || (prefix !== undefined && !/^\d{1,3}$/.test(prefix))) return undefined;
  const longest = family === 4 ? 32 : 128;
  const length = prefix === undefined ? longest : Number(prefix);
  return length > longest ? undefined : blockList(`${address}/${length}`);
}

function isIn(networks: readonly BlockList[], address: string): boolean {
  const plain = plainAddress(address);
  return plain !== undefined && networks.some((network) => contains(network, plain));
}
