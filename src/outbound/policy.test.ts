import { expect, test } from "vitest";
import { type AllowEntry, parseAllowEntry } from "./allow-list.ts";
import { judge, type Target } from "./policy.ts";

function entries(list: string): AllowEntry[] {
  return list
    .split(" ")
    .filter((text) => text !== "")
    .map((text) => parseAllowEntry(text) ?? expect.fail(`${text} is no entry`));
}

function verdict(list: string, target: Partial<Target>): string {
  const whole = {
    hostname: "api.provider.example",
    secure: true,
    addresses: ["93.184.216.34"],
    namespace: "shop",
    ...target,
  };
  const result = judge(entries(list), whole);
  return result.kind === "refused" ? result.why : "allowed";
}

const PRIVATE = "it is not on the public internet and is not listed";
const GUARDED = "it is link-local or a cloud's metadata service, which has to be listed by its exact address";
const PLAIN = "plain http goes only to what is listed";

test.each<[why: string, list: string, target: Partial<Target>, verdict: string]>([
  ["a public server", "", {}, "allowed"],
  ["a public server over plain http", "", { secure: false }, PLAIN],
  ["one over plain http whose host is listed", "api.provider.example", { secure: false }, "allowed"],
  ["one over plain http whose address is listed", "93.184.216.34", { secure: false }, "allowed"],
  ["a private server", "", { addresses: ["10.0.0.7"] }, PRIVATE],
  ["a private server in a listed network", "10.0.0.0/8", { addresses: ["10.0.0.7"] }, "allowed"],
  ["the same over plain http", "10.0.0.0/8", { addresses: ["10.0.0.7"], secure: false }, "allowed"],
  ["one beside the listed network", "10.0.0.0/16", { addresses: ["10.1.0.7"] }, PRIVATE],
  ["the mapped form of a listed address", "10.0.0.7", { addresses: ["::ffff:10.0.0.7"] }, "allowed"],
  ["the form behind NAT64 of a listed address", "10.0.0.7", { addresses: ["64:ff9b::a00:7"] }, "allowed"],
  ["a private server whose host is listed", "api.provider.example", { addresses: ["10.0.0.7"] }, "allowed"],
  ["a host below a listed one", "provider.example", { addresses: ["10.0.0.7"] }, PRIVATE],
  ["private addresses of IPv4 where all of IPv6 is listed", "::/0", { addresses: ["10.0.0.7"] }, PRIVATE],
  ["one private address among public ones", "", { addresses: ["93.184.216.34", "10.0.0.7"] }, PRIVATE],
  ["the same in the other order", "", { addresses: ["10.0.0.7", "93.184.216.34"] }, PRIVATE],
  ["what is listed for the namespace", "shop=10.0.0.0/8", { addresses: ["10.0.0.7"] }, "allowed"],
  ["what is listed for another namespace", "crm=10.0.0.0/8", { addresses: ["10.0.0.7"] }, PRIVATE],
  [
    "what is listed for a namespace, asked for by none",
    "shop=10.0.0.0/8",
    { addresses: ["10.0.0.7"], namespace: undefined },
    PRIVATE,
  ],
  ["a host that is listed for the namespace", "shop=api.provider.example", { addresses: ["10.0.0.7"] }, "allowed"],
  ["metadata", "", { addresses: ["169.254.169.254"] }, GUARDED],
  ["metadata in a listed network", "169.254.0.0/16", { addresses: ["169.254.169.254"] }, GUARDED],
  ["metadata where everything is listed", "0.0.0.0/0 ::/0", { addresses: ["169.254.169.254"] }, GUARDED],
  ["metadata behind a listed host name", "api.provider.example", { addresses: ["169.254.169.254"] }, GUARDED],
  ["metadata that is listed exactly", "169.254.169.254", { addresses: ["169.254.169.254"] }, "allowed"],
  ["the same as a network of one", "169.254.169.254/32", { addresses: ["169.254.169.254"] }, "allowed"],
  ["the same, mapped", "169.254.169.254", { addresses: ["::ffff:169.254.169.254"] }, "allowed"],
  ["a name without an address", "0.0.0.0/0", { addresses: [] }, "it has no address"],
  ["a name whose address is none", "0.0.0.0/0", { addresses: ["somewhere"] }, "what its name stands for is no address"],
])("%s", (_why, list, target, expected) => {
  expect(verdict(list, target)).toBe(expected);
});

test.each([
  "10.0.0.0/33",
  "10.0.0/8",
  "10.0.0.0/-1",
  "fd00::/129",
  "::ffff:10.0.0.0/104",
  "fe80::1%eth0",
  "https://internal.example",
  "internal.example:8080",
  "*.internal.example",
  "-internal.example",
  "=10.0.0.0/8",
  "Shop=10.0.0.0/8",
  "a=b=10.0.0.0/8",
  "10.0",
  "",
])("%s is no entry, and is refused instead of listing something else", (text) => {
  expect(parseAllowEntry(text)).toBeUndefined();
});
