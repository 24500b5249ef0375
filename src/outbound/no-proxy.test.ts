import { expect, test } from "vitest";
import { parseNoProxy } from "./no-proxy.ts";

test.each<[list: string, hostname: string, addresses: string[], direct: boolean]>([
  ["", "api.example", ["1.2.3.4"], false],
  ["*", "api.example", ["1.2.3.4"], true],
  ["example", "api.example", ["1.2.3.4"], true],
  [".example", "api.example", ["1.2.3.4"], true],
  ["*.example", "api.example", ["1.2.3.4"], true],
  ["api.EXAMPLE", "api.example", ["1.2.3.4"], true],
  ["pi.example", "api.example", ["1.2.3.4"], false],
  ["1.2.3.4", "1.2.3.4", ["1.2.3.4"], true],
  ["10.0.0.0/8", "svc.internal", ["10.0.0.1"], true],
  ["10.0.0.0/8", "svc.internal", ["10.0.0.1", "1.2.3.4"], false],
  ["10.0.0.0/8", "svc.internal", ["::ffff:10.0.0.1"], true],
  ["fd00::/8", "svc.internal", ["fd00::1"], true],
  ["10.0.0.0/99", "svc.internal", ["10.0.0.1"], false],
  ["svc.cluster.local,10.0.0.0/8", "a.b.svc.cluster.local", ["192.168.0.1"], true],
])("with %s, %s at %j is called directly: %s", (list, hostname, addresses, direct) => {
  expect(parseNoProxy(list.split(",").filter((item) => item !== "")).exempts(hostname, addresses)).toBe(direct);
});
