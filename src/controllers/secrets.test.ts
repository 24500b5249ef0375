import { afterAll, beforeEach, expect, test } from "vitest";
import { eventually } from "../../test/support/eventually.ts";
import { json, object, type Reaction, refusal, startFaultServer } from "../../test/support/fault-server.ts";
import { createKubeClient } from "../kube/client.ts";
import type { ObjectKey } from "../kube/object.ts";
import { createSecrets, type SecretVersion } from "./secrets.ts";

const server = await startFaultServer();
const client = createKubeClient(server.identity);
/** What the watch shows; each test begins with nothing. */
const shown = new Map<ObjectKey, SecretVersion>();

beforeEach(() => shown.clear());
afterAll(async () => {
  await client[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

function newSecrets(referrers = 1) {
  return createSecrets(client, {
    version: (key) => shown.get(key),
    adopt: ({ metadata: { name, uid, resourceVersion } }) => void shown.set(`ns/${name}`, { uid, resourceVersion }),
    referrers: () => referrers,
  });
}

function answer(name: string, resourceVersion: string, data: object = { token: "dA==" }): Reaction {
  return json(200, object(name, resourceVersion, { data }));
}

/** An answer that waits until the test lets it go. */
function held(reaction: Reaction): { readonly reaction: Reaction; release(): void } {
  const gate = Promise.withResolvers<void>();
  return {
    reaction: async (response, request) => {
      await gate.promise;
      await reaction(response, request);
    },
    release: gate.resolve,
  };
}

function asked(name: string): number {
  return server.requests.filter(({ path }) => path === `/api/v1/namespaces/ns/secrets/${name}`).length;
}

test("reads of one Secret at the same moment share one call", async () => {
  const secrets = newSecrets();
  const slow = held(answer("shared", "1"));
  server.script("call", slow.reaction);
  const reads = Array.from({ length: 10 }, () => secrets.read("ns", "shared"));
  await eventually(() => expect(asked("shared")).toBe(1));
  slow.release();

  for (const secret of await Promise.all(reads)) expect(secret?.metadata.resourceVersion).toBe("1");
  expect(asked("shared")).toBe(1);
});

test("a Secret is not read again while the watch shows the version that was read, and is once it shows another", async () => {
  const secrets = newSecrets();
  server.script("call", answer("known", "1"), answer("known", "2"));
  await secrets.read("ns", "known");
  await secrets.read("ns", "known");
  expect(asked("known")).toBe(1);

  shown.set("ns/known", { uid: "uid-of-known", resourceVersion: "2" });
  secrets.changed("ns/known");
  expect((await secrets.read("ns", "known"))?.metadata.resourceVersion).toBe("2");
});

test("a Secret of the same version and another uid is another Secret", async () => {
  const secrets = newSecrets();
  server.script("call", answer("replaced", "1"), answer("replaced", "1"));
  await secrets.read("ns", "replaced");
  shown.set("ns/replaced", { uid: "another", resourceVersion: "1" });
  await secrets.read("ns", "replaced");
  expect(asked("replaced")).toBe(2);
});

test("an answer that an event has overtaken is given to those who wait, and neither kept nor adopted", async () => {
  const secrets = newSecrets();
  const old = held(answer("overtaken", "1"));
  server.script("call", old.reaction, answer("overtaken", "2"));
  const first = secrets.read("ns", "overtaken");
  await eventually(() => expect(asked("overtaken")).toBe(1));
  secrets.changed("ns/overtaken");

  const second = secrets.read("ns", "overtaken");
  expect((await second)?.metadata.resourceVersion).toBe("2");
  old.release();
  expect((await first)?.metadata.resourceVersion).toBe("1");
  expect(secrets.version("ns/overtaken")).toEqual({ uid: "uid-of-overtaken", resourceVersion: "2" });
  expect((await secrets.read("ns", "overtaken"))?.metadata.resourceVersion).toBe("2");
  expect(asked("overtaken")).toBe(2);
});

test("a Secret that does not exist is undefined, and is asked for again", async () => {
  const secrets = newSecrets();
  server.script("call", refusal(404, "NotFound"), answer("late", "1"));
  expect(await secrets.read("ns", "late")).toBeUndefined();
  expect((await secrets.read("ns", "late"))?.metadata.name).toBe("late");
});

test("a right that is missing is an error for everybody who waits, and not remembered", async () => {
  const secrets = newSecrets();
  server.script("call", refusal(403, "Forbidden"), answer("guarded", "1"));
  const reads = await Promise.allSettled([secrets.read("ns", "guarded"), secrets.read("ns", "guarded")]);
  expect(reads.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  expect(await secrets.read("ns", "guarded")).toBeDefined();
});

test("a Secret that fills the API server's limit is read once for all who refer to it", async () => {
  const secrets = newSecrets(10);
  server.script("call", answer("largest", "1", { token: "x".repeat(1_400_000) }));
  await Promise.all(Array.from({ length: 4 }, () => secrets.read("ns", "largest")));
  for (let reader = 4; reader < 10; reader += 1) await secrets.read("ns", "largest");
  expect(asked("largest")).toBe(1);
});

test("what all who refer to them have read is let go for others: another read asks the API server", async () => {
  const secrets = newSecrets(1);
  for (const name of ["one", "two", "three"]) {
    server.script("call", answer(name, "1", { token: "x".repeat(700_000) }));
    await secrets.read("ns", name);
  }
  server.script("call", answer("one", "1"));
  await secrets.read("ns", "one");
  expect(asked("one")).toBe(2);
});
