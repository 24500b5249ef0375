import { type BlockList, isIP } from "node:net";
import { blockList, contains, plainAddress } from "./address.ts";

/** One entry of `KEYSTEAD_OUTBOUND_ALLOW`: a network or a host name, for every integration or for those of one namespace. */
export type AllowEntry = { readonly namespace?: string } & (
  | { readonly host: string }
  | { readonly network: BlockList; readonly family: number; readonly exact: boolean }
);

const NAMESPACE = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const HOST = /^(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*$/;

/** The entry that the text stands for; undefined for what is neither `network` nor `host`, alone or behind `namespace=`. */
export function parseAllowEntry(text: string): AllowEntry | undefined {
  const [, namespace, what = ""] = /^(?:([^=]*)=)?(.*)$/.exec(text) ?? [];
  if (namespace !== undefined && !NAMESPACE.test(namespace)) return undefined;
  const target = parseNetwork(what) ?? parseHost(what);
  return target && { ...target, ...(namespace !== undefined && { namespace }) };
}

/** Whether the entry is for integrations of that namespace. */
export function isFor(entry: AllowEntry, namespace: string | undefined): boolean {
  return entry.namespace === undefined || entry.namespace === namespace;
}

/** Whether the entry names this host. */
export function listsHost(entry: AllowEntry, hostname: string): boolean {
  return "host" in entry && entry.host === hostname;
}

/** Whether the entry's network has this plain address. */
export function listsAddress(entry: AllowEntry, plain: string): boolean {
  // Node's lists look for IPv4 in IPv6 networks as well: `::/0` would list the private networks of IPv4.
  return "network" in entry && entry.family === isIP(plain) && contains(entry.network, plain);
}

/** Whether the entry is this very address and nothing else. */
export function listsExactly(entry: AllowEntry, plain: string): boolean {
  return "network" in entry && entry.exact && listsAddress(entry, plain);
}

function parseNetwork(text: string) {
  const [, address = "", length] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const plain = plainAddress(address);
  if (plain === undefined) return undefined;
  // A network of mapped addresses would list nothing: addresses are compared in their plain form.
  if (length !== undefined && plain !== address) return undefined;
  const family = isIP(plain);
  const longest = family === 4 ? 32 : 128;
  const prefix = length === undefined ? longest : Number(length);
  if (prefix > longest) return undefined;
  return { network: blockList(`${plain}/${prefix}`), family, exact: prefix === longest };
}

function parseHost(text: string): { readonly host: string } | undefined {
  const host = text.toLowerCase();
  // What looks like an address, or the beginning of one, is a slip and no name.
  return HOST.test(host) && !/^[\d.]+$/.test(host) ? { host } : undefined;
}
