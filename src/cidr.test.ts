import * as fc from "fast-check";
import { expect, test } from "vitest";
import { createCidrCheck, networkOf, parseCidr, plainAddress } from "./cidr.ts";

const block = (text: string) => parseCidr(text) ?? expect.fail(`${text} is a block`);

test.each([
  ["10.0.0.0/8", "10.255.0.1", true],
  ["10.0.0.0/8", "11.0.0.1", false],
  ["10.1.2.3/8", "10.9.9.9", true],
  ["192.0.2.7/32", "192.0.2.7", true],
  ["192.0.2.7/32", "192.0.2.8", false],
  ["0.0.0.0/0", "203.0.113.1", true],
  ["0.0.0.0/0", "2001:db8::1", false],
  ["2001:db8::/32", "2001:db8:ffff::1", true],
  ["2001:db8::/32", "2001:db9::1", false],
  ["::/0", "2001:db8::1", true],
])("%s and %s: %s", (cidr, address, isIn) => {
  expect(createCidrCheck([block(cidr)])(address)).toBe(isIn);
});

test("without blocks no address is in one", () => {
  expect(createCidrCheck([])("127.0.0.1")).toBe(false);
});

test.each([
  "",
  "10.0.0.1",
  "10.0.0.0/33",
  "10.0.0.0/08",
  "10.0.0/8",
  "::/129",
  "10.0.0.0/8 ",
  "example.com/8",
  "fe80::1%eth0/64",
  "::ffff:10.0.0.0/104",
  "010.0.0.0/8",
])("%j is no block", (text) => {
  expect(parseCidr(text)).toBeUndefined();
});

test.each([
  ["192.0.2.1", "192.0.2.1"],
  ["::ffff:192.0.2.1", "192.0.2.1"],
  ["::FFFF:c000:0201", "192.0.2.1"],
  ["2001:DB8:0:0::0001", "2001:db8::1"],
  ["fe80::1%eth0", "fe80::1"],
  ["unknown", undefined],
  ["", undefined],
  ["192.0.2.1:80", undefined],
])("%s is the address %s", (text, address) => {
  expect(plainAddress(text)).toBe(address);
});

test.each([
  ["192.0.2.1", "192.0.2.1"],
  ["2001:db8::1", "2001:db8:0:0::/64"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
  ["1::2:3:4:5:6:7", "1:0:2:3::/64"],
  ["::1", "0:0:0:0::/64"],
  ["64:ff9b::192.0.2.1", "64:ff9b:0:0::/64"],
])("%s is counted as %s", (address, network) => {
  expect(networkOf(address)).toBe(network);
});

test("whatever its last 64 bits, an IPv6 address is counted as its network", () => {
  const group = fc.integer({ min: 0, max: 0xffff }).map((value) => value.toString(16));
  const half = fc.tuple(group, group, group, group);
  fc.assert(
    fc.property(half, half, half, (network, one, other) => {
      const of = (host: readonly string[]) => networkOf(plainAddress([...network, ...host].join(":")) ?? "");
      // A mapped IPv4 address is one of IPv4.
      fc.pre(network.some((value) => value !== "0"));
      expect(of(one)).toBe(of(other));
    }),
  );
});
