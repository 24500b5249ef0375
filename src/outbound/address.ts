import { BlockList, isIP, isIPv4 } from "node:net";

/**
 * How far an address may be called.
 * `public`: by anybody. `private`: only where it is listed. `guarded`: link-local, and where clouds hand out the
 * credentials of the machine; only where exactly this address is listed, since a range that holds one was never meant to.
 */
export type Reach = "public" | "private" | "guarded";

/** From least to most restricted. */
const ORDER: readonly Reach[] = ["public", "private", "guarded"];

/**
 * The special-purpose registry of IANA (RFC 6890 and its updates): what is not globally reachable, what is reserved,
 * multicast, and 192.88.99.0/24, the retired relay of 6to4.
 */
const PRIVATE_IPV4 = blockList(
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.0.2.0/24",
  "192.88.99.0/24",
  "192.168.0.0/16",
  "198.18.0.0/15",
  "198.51.100.0/24",
  "203.0.113.0/24",
  "224.0.0.0/4",
  "240.0.0.0/4",
);

/** All of IPv6 that is assigned for global unicast; everything outside is not public. */
const GLOBAL_IPV6 = blockList("2000::/3");

/** What is special within 2000::/3: protocol assignments (Teredo among them), documentation, 6to4. */
const PRIVATE_IPV6 = blockList("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20");

/** Link-local, and the metadata services that have an address elsewhere. */
const GUARDED = blockList(
  "169.254.0.0/16",
  "fe80::/10",
  "100.100.100.200/32", // Alibaba Cloud
  "168.63.129.16/32", // Azure's host, in public space
  "192.0.0.192/32", // Oracle Cloud, classic
  "fd00:ec2::/32", // AWS: metadata, name server and time
  "fd20:ce::254/128", // Google Cloud
  "fd00:c1::a9fe:a9fe/128", // Oracle Cloud
  "fd00:42::42/128", // Scaleway
);

/** Prefixes in which an IPv4 address stands for itself: a call to one is a call to that address. */
const MAPPED = blockList("::ffff:0:0/96");
const NAT64 = blockList("64:ff9b::/96");

/**
 * Prefixes whose gateway forwards to an IPv4 address inside, and at which byte it stands. Never public, because who runs
 * the gateway is unknown: RFC 8215's local NAT64, IPv4-translated, IPv4-compatible, 6to4, and Teredo's server and client.
 */
const TUNNELS: readonly { readonly prefix: BlockList; readonly at: readonly number[]; readonly inverted?: boolean }[] =
  [
    { prefix: blockList("64:ff9b:1::/48"), at: [12] },
    { prefix: blockList("::ffff:0:0:0/96"), at: [12] },
    { prefix: blockList("::/96"), at: [12] },
    { prefix: blockList("2002::/16"), at: [2] },
    { prefix: blockList("2001::/32"), at: [4] },
    { prefix: blockList("2001::/32"), at: [12], inverted: true },
  ];

/** How far the address may be called, whatever form it is written in. What is no address is `guarded`. */
export function reachOf(address: string): Reach {
  const plain = plainAddress(address);
  if (plain === undefined) return "guarded";
  if (contains(GUARDED, plain)) return "guarded";
  if (isIPv4(plain)) return contains(PRIVATE_IPV4, plain) ? "private" : "public";
  const inside = TUNNELS.filter(({ prefix }) => contains(prefix, plain)).flatMap(({ at, inverted = false }) =>
    at.map((offset) => reachOf(embedded(bytesOf(plain), offset, inverted))),
  );
  const isPublic = contains(GLOBAL_IPV6, plain) && !contains(PRIVATE_IPV6, plain) && inside.length === 0;
  return farthest([isPublic ? "public" : "private", ...inside]);
}

/**
 * The address that a call really goes to: of an IPv4-mapped one, or one behind the well-known prefix of NAT64, the IPv4
 * address inside. Undefined for what is no address; one with a zone is none, since it only means something on one link.
 */
export function plainAddress(address: string): string | undefined {
  if (isIPv4(address)) return address;
  if (isIP(address) !== 6 || address.includes("%")) return undefined;
  if (contains(MAPPED, address) || contains(NAT64, address)) return embedded(bytesOf(address), 12, false);
  return address;
}

/** Whether the list has the address. `BlockList` would also look behind IPv4-mapped ones; here they are plain already. */
export function contains(list: BlockList, address: string): boolean {
  return list.check(address, isIPv4(address) ? "ipv4" : "ipv6");
}

/** A list of networks in CIDR notation. Throws for what is none. */
export function blockList(...networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = "", prefix = ""] = network.split("/");
    list.addSubnet(address, Number(prefix), isIPv4(address) ? "ipv4" : "ipv6");
  }
  return list;
}

function farthest(reaches: readonly Reach[]): Reach {
  return ORDER.findLast((reach) => reaches.includes(reach)) ?? "guarded";
}

/** The 16 bytes of an IPv6 address (RFC 4291 section 2.2), which may end in dotted IPv4. */
function bytesOf(address: string): readonly number[] {
  const [head = "", tail] = address.split("::");
  const front = head.split(":").flatMap(groupBytes);
  const back = (tail ?? "").split(":").flatMap(groupBytes);
  return [...front, ...Array.from({ length: 16 - front.length - back.length }, () => 0), ...back];
}

function groupBytes(group: string): number[] {
  if (group === "") return [];
  if (group.includes(".")) return group.split(".").map(Number);
  const value = Number.parseInt(group, 16);
  return [value >> 8, value & 0xff];
}

function embedded(bytes: readonly number[], offset: number, inverted: boolean): string {
  const four = bytes.slice(offset, offset + 4);
  return (inverted ? four.map((byte) => byte ^ 0xff) : four).join(".");
}
