import { afterAll, expect, test } from "vitest";
import { eventsAbout, type ObservedEvent, type Reference } from "./support/cluster.ts";
import { eventually } from "./support/eventually.ts";
import { createInstallation } from "./support/keystead.ts";
import { canary } from "./support/leaks.ts";
import { connection, environment, integration, secret } from "./support/resources.ts";

// What `kubectl describe` shows: transitions, once each, in the past tense.

const installation = await createInstallation("events");
const { objects, namespace } = installation;
const controller = installation.start("controller");
const parents = { environment: "production", integration: "stripe" };
await objects.apply(
  environment("production"),
  integration("stripe", "production"),
  secret("acme", { token: canary("token") }),
);

afterAll(() => installation[Symbol.asyncDispose]());

/** Events are written in the background, so the first look may come too early. */
async function eventsOf(reference: Reference, count: number): Promise<ObservedEvent[]> {
  return eventually(async () => {
    const events = await objects.events(reference);
    expect(events).toHaveLength(count);
    return events;
  });
}

test("a resource that becomes ready for the first time has no event", async () => {
  await objects.apply(connection("acme", parents));
  await objects.ready("connection/acme", "environment/production", "integration/stripe");
  // A later event of another resource is out: those before it are, too.
  await objects.apply(connection("marker", parents));
  await eventsOf("connection/marker", 1);

  for (const reference of ["connection/acme", "environment/production", "integration/stripe"] as const) {
    expect(await objects.events(reference), reference).toEqual([]);
  }
});

test("what stands in the way is one warning, and its end is one event", async () => {
  await objects.apply(secret("acme", { token: "" }));
  await objects.reach("connection/acme", "Ready=False InvalidSecretValue", "Stalled=True InvalidSecretValue");
  await objects.apply(secret("acme", { token: canary("mended") }));
  await objects.ready("connection/acme");

  expect(await eventsOf("connection/acme", 2)).toEqual([
    {
      type: "Warning",
      reason: "InvalidSecretValue",
      note: expect.stringContaining("Key token of Secret acme is empty"),
    },
    { type: "Normal", reason: "Recovered", note: expect.any(String) },
  ]);
});

test("a wait that goes on is told once, however often it is looked at", async () => {
  await objects.apply(connection("patient", parents));
  await objects.reach("connection/patient", "Ready=Unknown SecretNotFound", "Reconciling=True SecretNotFound");
  for (const team of ["a", "b", "c"]) await objects.patch("connection/patient", { metadata: { labels: { team } } });
  await objects.patch("connection/patient", { spec: { tags: { team: "sales" } } });
  await objects.reach("connection/patient", "Ready=Unknown SecretNotFound", "Reconciling=True SecretNotFound");

  expect(await eventsOf("connection/patient", 1)).toMatchObject([{ type: "Warning", reason: "SecretNotFound" }]);
});

test("a deletion leaves an event with the id by which the row can be restored", async () => {
  const { metadata, status } = await objects.get("connection/acme");
  await objects.delete("connection/acme");

  await eventually(async () => {
    const events = await eventsAbout(objects.client, namespace, metadata.uid);
    expect(events.at(-1)).toMatchObject({ type: "Normal", reason: "SoftDeleted" });
    expect(events.at(-1)?.note).toContain(String(status?.["connectionId"]));
  });
});

test("the deletion of an Integration says how many connections went with it", async () => {
  await objects.apply(secret("one", { token: canary("one") }), secret("two", { token: canary("two") }));
  await objects.apply(connection("one", parents), connection("two", parents));
  await objects.ready("connection/one", "connection/two");
  const { metadata } = await objects.get("integration/stripe");
  await objects.delete("integration/stripe");

  await eventually(async () => {
    const events = await eventsAbout(objects.client, namespace, metadata.uid);
    expect(events.map(({ note }) => note).join()).toContain("Connections deleted with it: 2.");
  });
});

test("events that were recorded just before the process is told to end are still sent", async () => {
  await objects.apply(secret("last", { token: "" }), connection("last", parents));
  await objects.reach("connection/last", "Ready=Unknown IntegrationNotFound", "Reconciling=True IntegrationNotFound");
  expect(await controller.end()).toBe(0);

  expect(await objects.events("connection/last")).toMatchObject([{ reason: "IntegrationNotFound" }]);
});
