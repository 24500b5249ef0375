import { afterAll, expect, test } from "vitest";
import { controllerCalls, writesAmong } from "./support/audit-log.ts";
import { eventually } from "./support/eventually.ts";
import { countRowWrites, query } from "./support/database.ts";
import { createInstallation } from "./support/keystead.ts";
import { canary } from "./support/leaks.ts";
import { connection, environment, integration, secret } from "./support/resources.ts";

// A resource that is as it should be costs nothing: no call that writes, no row, no new version.

const installation = await createInstallation("unchanged");
const { objects, namespace, database } = installation;
const parents = { environment: "production", integration: "stripe" };
const references = [
  "environment/production",
  "integration/stripe",
  "connection/acme",
  "connection/globex",
  "connection/broken",
  "secret/production-keystead",
] as const;

await objects.apply(
  secret("acme", { token: canary("acme") }),
  secret("globex", { token: canary("globex") }),
  secret("broken", { token: "" }),
  environment("production", {
    variables: [{ name: "TOKEN", valueFrom: { secretKeyRef: { name: "acme", key: "token" } } }],
  }),
  integration("stripe", "production", { clientId: "id", clientSecretRef: { name: "acme", key: "token" } }),
  connection("acme", parents, { config: { subdomain: "acme" }, metadata: { plan: "pro" }, tags: { team: "sales" } }),
  connection("globex", parents),
  connection("broken", parents),
);
const first = installation.start("controller");
await objects.ready("connection/acme", "connection/globex");
await objects.reach("connection/broken", "Ready=False InvalidSecretValue", "Stalled=True InvalidSecretValue");

afterAll(() => installation[Symbol.asyncDispose]());

async function versions(): Promise<string[]> {
  const found = await Promise.all(references.map((reference) => objects.get(reference)));
  return found.map(({ metadata }) => `${metadata.name} ${metadata.resourceVersion}`);
}

test("bad case 31: a controller that starts over settled resources writes nothing, and conditions keep their times", async () => {
  await first.end();
  const [objectsBefore, rowsBefore] = [await versions(), await countRowWrites(database.ownerUrl)];
  const callsBefore = controllerCalls(namespace).length;

  const again = installation.start("controller");
  await again.logged("caught up with what was there at the start");
  await again.end();

  expect(await versions()).toEqual(objectsBefore);
  expect(await countRowWrites(database.ownerUrl)).toBe(rowsBefore);
  const calls = controllerCalls(namespace).slice(callsBefore);
  expect(calls.length, "the log is that of this controller").toBeGreaterThan(0);
  expect(writesAmong(calls)).toEqual([]);
});

test("bad case 31: a pass that finds nothing to do writes nothing", async () => {
  const controller = installation.start("controller");
  await controller.logged("caught up with what was there at the start");
  const before = await versions();
  const callsBefore = writesAmong(controllerCalls(namespace));

  // Each of these starts a pass, and none changes anything that is stored.
  await objects.patch("connection/acme", { metadata: { labels: { team: "sales" } } });
  await objects.patch("integration/stripe", { metadata: { labels: { team: "sales" } } });
  await objects.patch("environment/production", { metadata: { annotations: { "keystead.dev/note": "hello" } } });
  await objects.patch("secret/globex", { metadata: { labels: { touched: "yes" } } });
  // Passes of one kind run in the order of their causes, so once this is done those before it are.
  await objects.apply(
    connection("marker", parents, { credentials: { apiKey: { apiKeyRef: { name: "acme", key: "token" } } } }),
  );
  await objects.ready("connection/marker");
  await controller.end();

  const untouched = before.filter((version) => /^(?:globex|broken|production-keystead) /.test(version));
  expect(await versions()).toEqual(expect.arrayContaining(untouched));
  const writes = writesAmong(controllerCalls(namespace)).slice(callsBefore.length);
  expect(writes.filter((write) => !write.includes("/marker"))).toEqual([]);
  const rows = await query<{ revision: number }>(
    database.ownerUrl,
    "select revision::int from keystead.connections where connection_id in ('acme', 'globex')",
  );
  expect(rows).toEqual([{ revision: 1 }, { revision: 1 }]);
});

test("a Secret that was written again with the same value is remembered and not read a second time", async () => {
  const { metadata } = await objects.get("secret/globex");
  await eventually(async () => {
    const [row] = await query<{ sources: string }>(
      database.ownerUrl,
      "select sources::text from keystead.connections where connection_id = 'globex'",
    );
    expect(row?.sources).toContain(`"${metadata.resourceVersion}"`);
  });
  const callsBefore = controllerCalls(namespace).length;

  const controller = installation.start("controller");
  await controller.logged("caught up with what was there at the start");
  await controller.end();

  const reads = controllerCalls(namespace)
    .slice(callsBefore)
    .filter(({ verb, objectRef }) => verb === "get" && objectRef?.resource === "secrets")
    .map(({ objectRef }) => objectRef?.name);
  // The Secret that is written, and the one whose value is refused.
  expect(new Set(reads)).toEqual(new Set(["production-keystead", "broken"]));
  expect(reads).toHaveLength(2);
});
