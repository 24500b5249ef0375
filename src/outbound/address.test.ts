import * as fc from "fast-check";
import { expect, test } from "vitest";
import { plainAddress, reachOf } from "./address.ts";

test.each([
  ["93.184.216.34", "an ordinary server"],
  ["1.1.1.1", "a resolver"],
  ["172.32.0.1", "just past 172.16.0.0/12"],
  ["100.128.0.1", "just past the carriers' NAT"],
  ["192.0.1.1", "between two special networks"],
  ["223.255.255.255", "the last one before multicast"],
  ["2606:2800:220:1:248:1893:25c8:1946", "an ordinary server"],
  ["2a00:1450:4001:81b::200e", "an ordinary server"],
  ["::ffff:93.184.216.34", "the same, mapped"],
  ["64:ff9b::5db8:d822", "the same, as DNS64 answers it in a cluster without IPv4"],
])("%s is public: %s", (address) => {
  expect(reachOf(address)).toBe("public");
});

test.each([
  ["127.0.0.1", "this machine"],
  ["127.255.255.254", "this machine as well"],
  ["0.0.0.0", "this machine, to Linux"],
  ["10.0.0.1", "private"],
  ["172.16.0.1", "private"],
  ["172.31.255.255", "private"],
  ["192.168.1.1", "private"],
  ["100.64.0.1", "a carrier's NAT, and the pods of some clouds"],
  ["192.0.0.1", "protocol assignments"],
  ["192.0.2.1", "documentation"],
  ["198.18.0.1", "benchmarks"],
  ["198.51.100.1", "documentation"],
  ["203.0.113.1", "documentation"],
  ["192.88.99.1", "the relay of 6to4"],
  ["224.0.0.1", "multicast"],
  ["240.0.0.1", "reserved"],
  ["255.255.255.255", "broadcast"],
  ["::", "unspecified"],
  ["::1", "this machine"],
  ["fc00::1", "unique-local"],
  ["fd12:3456:789a::1", "unique-local"],
  ["fec0::1", "site-local, deprecated and still routed here and there"],
  ["ff02::1", "multicast"],
  ["2001:db8::1", "documentation"],
  ["3fff::1", "documentation"],
  ["100::1", "discard"],
  ["5f00::1", "segment routing"],
  ["2001:20::1", "ORCHIDv2"],
  ["::ffff:10.0.0.1", "mapped private"],
  ["::ffff:7f00:1", "mapped loopback, in hex"],
  ["::ffff:0:10.0.0.1", "IPv4-translated"],
  ["::10.0.0.1", "IPv4-compatible"],
  ["::5db8:d822", "IPv4-compatible, a public one inside"],
  ["64:ff9b::10.0.0.1", "private behind NAT64"],
  ["64:ff9b::a00:1", "the same in hex"],
  ["64:ff9b:1::5db8:d822", "a local NAT64, whoever runs it"],
  ["2002:a00:1::1", "6to4 around a private address"],
  ["2002:5db8:d822::1", "6to4 around a public one"],
  ["2001:0:5db8:d822::1", "Teredo"],
])("%s is private: %s", (address) => {
  expect(reachOf(address)).toBe("private");
});

test.each([
  ["169.254.169.254", "metadata of most clouds"],
  ["169.254.170.2", "credentials of ECS tasks"],
  ["169.254.0.1", "link-local"],
  ["fe80::1", "link-local"],
  ["fd00:ec2::254", "metadata of AWS over IPv6"],
  ["fd00:ec2::23", "credentials of EKS pods"],
  ["fd20:ce::254", "metadata of Google Cloud over IPv6"],
  ["fd00:c1::a9fe:a9fe", "metadata of Oracle Cloud over IPv6"],
  ["100.100.100.200", "metadata of Alibaba Cloud"],
  ["168.63.129.16", "the host of Azure"],
  ["192.0.0.192", "metadata of Oracle Cloud, classic"],
  ["::ffff:169.254.169.254", "mapped"],
  ["::ffff:a9fe:a9fe", "mapped, in hex"],
  ["0:0:0:0:0:ffff:a9fe:a9fe", "mapped, written out"],
  ["::ffff:0:169.254.169.254", "IPv4-translated"],
  ["::169.254.169.254", "IPv4-compatible"],
  ["64:ff9b::169.254.169.254", "behind NAT64"],
  ["64:ff9b:1::a9fe:a9fe", "behind a local NAT64"],
  ["2002:a9fe:a9fe::", "inside 6to4"],
  ["2001:0:a9fe:a9fe::1", "a Teredo server"],
  ["2001:0:5db8:d822::5601:5601", "a Teredo client, which stands inverted"],
  ["fe80::1%eth0", "with a zone"],
  ["2606:2800:220:1::1%eth0", "a public one with a zone, which is none"],
  ["localhost", "no address"],
  ["10.1", "no address, though some programs read it as 10.0.0.1"],
  ["", "no address"],
])("%s may only be called where exactly it is listed: %s", (address) => {
  expect(reachOf(address)).toBe("guarded");
});

test("an IPv4 address means the same in every form that stands for it", () => {
  fc.assert(
    fc.property(fc.ipV4(), (address) => {
      expect(plainAddress(`::ffff:${address}`)).toBe(address);
      expect(reachOf(`::ffff:${address}`)).toBe(reachOf(address));
      expect(reachOf(`64:ff9b::${address}`)).toBe(reachOf(address));
      expect(reachOf(`::${address}`), "in a tunnel never public").not.toBe("public");
    }),
  );
});

test("no IPv6 address outside of global unicast is public but through NAT64", () => {
  fc.assert(
    fc.property(fc.ipV6(), (address) => {
      const first = Number.parseInt(address.split(":")[0] || "0", 16);
      const isGlobal = first >= 0x20_00 && first <= 0x3f_ff;
      const plain = plainAddress(address);
      if (!isGlobal && plain === address) expect(reachOf(address)).not.toBe("public");
    }),
  );
});
