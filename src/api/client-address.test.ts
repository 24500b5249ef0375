import { expect, test } from "vitest";
import { parseCidr } from "../cidr.ts";
import { createClientAddress } from "./client-address.ts";

const trusted = ["10.0.0.0/8", "fd00::/8"].map((text) => parseCidr(text) ?? expect.fail(text));
const addressOf = createClientAddress(trusted);

test.each([
  ["no proxy", "203.0.113.1", undefined, "203.0.113.1"],
  ["a stranger who claims to be forwarding", "203.0.113.1", "192.0.2.1", "203.0.113.1"],
  ["a trusted proxy", "10.0.0.1", "192.0.2.1", "192.0.2.1"],
  ["a trusted proxy, by a socket for both families", "::ffff:10.0.0.1", "192.0.2.1", "192.0.2.1"],
  ["two trusted proxies", "10.0.0.1", "192.0.2.1, 10.0.0.2", "192.0.2.1"],
  ["a caller who wrote an address in front", "10.0.0.1", "127.0.0.1, 192.0.2.1", "192.0.2.1"],
  ["a caller who wrote a trusted one in front", "10.0.0.1", "10.9.9.9, 192.0.2.1", "192.0.2.1"],
  ["nobody but trusted ones", "10.0.0.1", "10.0.0.3,10.0.0.2", "10.0.0.3"],
  ["a trusted proxy that says nothing", "10.0.0.1", undefined, "10.0.0.1"],
  ["a trusted proxy with an empty header", "10.0.0.1", "", "10.0.0.1"],
  ["a hop that is no address", "10.0.0.1", "192.0.2.1, unknown", "10.0.0.1"],
  ["a hop with its port", "10.0.0.1", "192.0.2.1:4711", "192.0.2.1"],
  ["IPv6 with its port", "fd00::1", "[2001:DB8::1]:4711", "2001:db8::1"],
  ["IPv6 in brackets", "fd00::1", "[2001:db8::1]", "2001:db8::1"],
  ["a peer that is gone", undefined, "192.0.2.1", "0.0.0.0"],
])("%s", (_case, peer, forwardedFor, address) => {
  expect(addressOf(peer, forwardedFor)).toBe(address);
});

test("a chain without end is followed for 32 hops", () => {
  expect(addressOf("10.0.0.1", `192.0.2.1,${Array.from({ length: 40 }, (_, hop) => `10.0.1.${hop}`).join(",")}`)).toBe(
    "10.0.1.8",
  );
});
