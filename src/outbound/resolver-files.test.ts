import { expect, test } from "vitest";
import { addressesIn, candidates, searchRules } from "./resolver-files.ts";

const HOSTS = `
# 10.0.0.1 commented.example
127.0.0.1\tlocalhost
::1 localhost ip6-localhost
10.0.0.7  billing.example billing # moved on Monday
`;

test.each([
  ["a name with an address of each kind", "localhost", ["127.0.0.1", "::1"]],
  ["a second name of a line", "billing", ["10.0.0.7"]],
  ["a name in capitals", "BILLING.example", ["10.0.0.7"]],
  ["a word of a comment", "Monday", []],
  ["a line that is a comment", "commented.example", []],
  ["an address is no name", "10.0.0.7", []],
])("/etc/hosts: %s", (_why, hostname, addresses) => {
  expect(addressesIn(HOSTS, hostname)).toEqual(addresses);
});

test.each([
  ["nothing", "nameserver 10.0.0.10", { domains: [], ndots: 1 }],
  [
    "a pod's",
    "search shop.svc.cluster.local svc.cluster.local\nnameserver 10.0.0.10\noptions ndots:5 timeout:1",
    { domains: ["shop.svc.cluster.local", "svc.cluster.local"], ndots: 5 },
  ],
  ["the last list counts", "search a.example\ndomain b.example", { domains: ["b.example"], ndots: 1 }],
  ["a comment", "; search a.example\nsearch b.example # c.example", { domains: ["b.example"], ndots: 1 }],
])("/etc/resolv.conf: %s", (_why, text, rules) => {
  expect(searchRules(text)).toEqual(rules);
});

test.each([
  ["few dots: in the domains first", "billing.shop", ["billing.shop.svc", "billing.shop.cluster", "billing.shop"]],
  ["many dots: as it is first", "a.b.c", ["a.b.c", "a.b.c.svc", "a.b.c.cluster"]],
  ["a dot at the end: complete", "billing.", ["billing."]],
])("a name of %s", (_why, hostname, names) => {
  expect(candidates(hostname, { domains: ["svc", "cluster"], ndots: 2 })).toEqual(names);
});
