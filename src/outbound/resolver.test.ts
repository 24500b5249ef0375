import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { startNameServer, type NameServer, type Records } from "../../test/support/name-server.ts";
import { allowing, get } from "../../test/support/outbound.ts";
import { temporaryDirectory } from "../../test/support/temporary-directory.ts";
import { startUpstream } from "../../test/support/upstream.ts";
import { createOutbound } from "./outbound.ts";
import { createResolver, type Resolve } from "./resolver.ts";

interface Names extends AsyncDisposable {
  readonly server: NameServer;
  readonly hostsFile: string;
  readonly resolve: Resolve;
}

/** A resolver that looks into these files and asks a server with these records. */
async function startNames(records: Records, { hosts = "", conf = "" } = {}): Promise<Names> {
  const stack = new AsyncDisposableStack();
  const server = stack.use(await startNameServer(records));
  const directory = stack.use(temporaryDirectory());
  const [hostsFile, searchFile] = [join(directory.path, "hosts"), join(directory.path, "resolv.conf")];
  await Promise.all([writeFile(hostsFile, hosts), writeFile(searchFile, conf)]);
  const resolve = createResolver({ servers: [server.address], hostsFile, searchFile });
  return { server, hostsFile, resolve, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

const patient = new AbortController().signal;

test("names of a zone whose servers do not answer hold up no other name, however many are waited for", async () => {
  await using upstream = await startUpstream();
  const slow = Array.from({ length: 200 }, (_, n) => `tenant-${n}.slow.example`);
  const records: Records = {
    "quick.example": ["127.0.0.1"],
    ...Object.fromEntries(slow.map((name) => [name, "silence"] as const)),
  };
  await using names = await startNames(records);
  using outbound = createOutbound({ allow: allowing("127.0.0.1"), resolve: names.resolve });
  const stop = new AbortController();
  const waiting = slow.map((name) => outbound.call(get(`http://${name}/`, { signal: stop.signal })));
  const { status } = await outbound.call(get(`http://quick.example:${upstream.port}/`));
  expect(status).toBe(200);
  const reason = new Error("that is all");
  stop.abort(reason);
  const outcomes = await Promise.allSettled(waiting);
  expect(outcomes.filter((outcome) => outcome.status === "rejected" && outcome.reason === reason)).toHaveLength(200);
});

test("what /etc/hosts says counts before what a name server says, and is read anew", async () => {
  await using names = await startNames(
    { "pinned.example": ["93.184.216.34"] },
    { hosts: "10.0.0.7 pinned.example\nfd00::7 pinned.example\n" },
  );
  expect(await names.resolve("pinned.example", patient)).toEqual(["10.0.0.7", "fd00::7"]);
  expect(names.server.asked).toEqual([]);
  await writeFile(names.hostsFile, "");
  expect(await names.resolve("pinned.example", patient)).toEqual(["93.184.216.34"]);
});

test("a name has its addresses of both kinds", async () => {
  await using names = await startNames({ "both.example": ["192.0.2.1", "192.0.2.2", "2001:db8::1"] });
  expect(await names.resolve("both.example", patient)).toEqual(["192.0.2.1", "192.0.2.2", "2001:db8::1"]);
});

test("a short name is looked for in the search domains, a long one as it is", async () => {
  await using names = await startNames(
    { "billing.shop.svc": ["10.0.0.8"], "api.provider.example": ["192.0.2.1"] },
    { conf: "search crm.svc shop.svc\noptions ndots:2\n" },
  );
  expect(await names.resolve("billing", patient)).toEqual(["10.0.0.8"]);
  expect(await names.resolve("api.provider.example", patient)).toEqual(["192.0.2.1"]);
  expect(names.server.asked).toEqual(["billing.crm.svc", "billing.shop.svc", "api.provider.example"]);
});

test("a name that is nowhere, and a look-up that is given up, are told apart", async () => {
  await using names = await startNames({ "silent.example": "silence" }, { conf: "search shop.svc\n" });
  await expect(names.resolve("nowhere.example", patient)).rejects.toMatchObject({ code: "ENOTFOUND" });
  const early = new AbortController();
  const given = names.resolve("silent.example", early.signal);
  early.abort();
  await expect(given).rejects.toBeDefined();
});
