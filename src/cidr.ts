import { BlockList, isIP, isIPv4, SocketAddress } from "node:net";

/** A block of addresses, such as `10.0.0.0/8` or `2001:db8::/32`. Bits behind the prefix count for nothing. */
export interface Cidr {
  readonly address: string;
  readonly prefix: number;
  readonly family: "ipv4" | "ipv6";
}

/** The block that the text says, with its prefix; undefined for anything else. */
export function parseCidr(text: string): Cidr | undefined {
  const [, address = "", digits = ""] = /^([0-9A-Fa-f.:]+)\/(0|[1-9]\d{0,2})$/.exec(text) ?? [];
  const family = isIP(address) === 6 ? "ipv6" : "ipv4";
  const prefix = Number(digits);
  // IPv4 that is written in IPv6 would match nothing: addresses come in the form of `plainAddress`.
  const isPlain = plainAddress(address)?.includes(":") === (family === "ipv6");
  const isBlock = isPlain && prefix <= (family === "ipv6" ? 128 : 32);
  return isBlock ? { address, prefix, family } : undefined;
}

/** Whether an address, in the form of `plainAddress`, is in one of the blocks. */
export function createCidrCheck(blocks: readonly Cidr[]): (address: string) => boolean {
  const list = new BlockList();
  for (const { address, prefix, family } of blocks) list.addSubnet(address, prefix, family);
  return (address) => list.check(address, isIPv4(address) ? "ipv4" : "ipv6");
}

/**
 * The one spelling of an address: IPv4 that came in IPv6 (`::ffff:192.0.2.1`, as a socket for both shows it) is IPv4, a
 * zone is cut, IPv6 is compressed. Undefined for what is no address.
 */
export function plainAddress(text: string): string | undefined {
  const [withoutZone = ""] = text.split("%", 1);
  const family = isIP(withoutZone);
  if (family === 0) return undefined;
  if (family === 4) return withoutZone;
  const { address } = new SocketAddress({ address: withoutZone, family: "ipv6" });
  const mapped = /^::ffff:([\d.]+)$/.exec(address)?.[1];
  return mapped ?? address;
}

/**
 * What one client can choose freely: of an IPv4 address nothing, of an IPv6 address the last 64 bits (RFC 4291 section
 * 2.5.4), so the first four groups stand for it.
 */
export function networkOf(address: string): string {
  if (!address.includes(":")) return address;
  // An embedded IPv4 address is two groups, and behind the first four anyway.
  const [left = [], right = []] = address
    .replace(/[\d.]+\.\d+$/, "0:0")
    .split("::")
    .map((half) => half.split(":").filter((group) => group !== ""));
  const zeros = Array.from({ length: Math.max(0, 8 - left.length - right.length) }, () => "0");
  return `${[...left, ...zeros, ...right].slice(0, 4).join(":")}::/64`;
}
