import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { crdYaml } from "../src/resources/crd.ts";
import { type Application, applicationOf } from "./support/application.ts";
import { controllerCalls } from "./support/audit-log.ts";
import { KINDS, type Reference } from "./support/cluster.ts";
import { putIntoEtcd } from "./support/etcd.ts";
import { eventually } from "./support/eventually.ts";
import { createInstallation } from "./support/keystead.ts";
import { canary } from "./support/leaks.ts";
import { conditionOf, connection, environment, integration, secret } from "./support/resources.ts";
import { kubectl } from "./support/servers.ts";

// One stored object of a shape that this version does not take stops itself and nothing else.

const installation = await createInstallation("invalid");
const { objects, namespace } = installation;
let keystead = installation.start("run");
const CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

interface Crd {
  readonly spec: { readonly names: { readonly plural: string } };
}

const parents = { environment: "production", integration: "stripe" };
const credentials = { apiKey: { apiKeyRef: { name: "token", key: "token" } } };
const token = canary("token");
let application: Application;

beforeAll(async () => {
  await objects.apply(
    secret("token", { token }),
    environment("production"),
    environment("bent"),
    integration("stripe", "production"),
    integration("bent", "production"),
    connection("bent", parents, { credentials }),
    connection("broken", parents, { credentials }),
    connection("fine", parents, { credentials }),
  );
  await objects.ready(
    "environment/bent",
    "integration/bent",
    "connection/bent",
    "connection/broken",
    "connection/fine",
  );
  application = await applicationOf(installation, keystead, "production");
});
afterAll(() => installation[Symbol.asyncDispose]());

/** Replaces the spec of an object where the API server stores it, as if an older CRD had let it in. */
async function bend(reference: Reference, spec: object): Promise<void> {
  const { metadata, ...object } = await objects.get(reference);
  const [kind, name] = reference.split("/");
  const { plural } = KINDS[kind === "environment" || kind === "integration" ? kind : "connection"];
  await putIntoEtcd(`/registry/keystead.dev/${plural}/${namespace}/${name}`, {
    ...object,
    metadata: { ...metadata, resourceVersion: undefined, generation: metadata.generation + 1 },
    spec,
  });
}

const good = { environmentRef: { name: "production" }, integrationRef: { name: "stripe" }, credentials };

/** What is wrong with each, and what its condition has to name. */
const BENT = [
  {
    what: "a duration without a unit",
    reference: "environment/bent",
    spec: { retention: "1h1" },
    names: "spec.retention",
  },
  {
    what: "a required field that is missing",
    reference: "integration/bent",
    spec: { environmentRef: { name: "production" } },
    names: "spec.auth",
  },
  {
    what: "two credentials",
    reference: "connection/bent",
    spec: { ...good, credentials: { ...credentials, app: { installationId: "1" } } },
    names: "spec.credentials",
  },
] as const;

test.each(BENT)(
  "bad case 29: $reference with $what is Stalled, and its condition names the field",
  async ({ reference, spec, names }) => {
    await bend(reference, spec);

    const stalled = await objects.reach(reference, "Ready=False InvalidSpec", "Stalled=True InvalidSpec");
    expect(conditionOf(stalled, "Stalled")?.message).toContain(names);
  },
);

test("bad case 29: the others go on, and what was stored of the bent ones is still served", async () => {
  // One that not even the API server can write any more: its rules stumble over text where an object is due.
  await bend("connection/broken", { ...good, environmentRef: "production" });
  await objects.apply(connection("later", parents, { credentials }));
  await objects.ready("connection/later");

  expect(await application.credentials("later", "stripe")).toMatchObject({ apiKey: token });
  expect(await application.credentials("broken", "stripe")).toMatchObject({ apiKey: token });
  expect(await application.credentials("bent", "stripe")).toMatchObject({ apiKey: token });
});

test("bad case 29: a controller that starts over such objects catches up with the others", async () => {
  await keystead.end();
  await objects.apply(connection("meanwhile", parents, { credentials }));
  keystead = installation.start("run");
  await keystead.logged("caught up with what was there at the start");

  await objects.ready("connection/meanwhile", "connection/fine");
});

test("bad case 29: of an object that nobody can write, one line and one event say so, and it is left alone", async () => {
  const line = "the API server refuses every change of an object; only a person can mend it";
  expect(await keystead.logged(line)).toMatchObject({ kind: "Connection", key: `${namespace}/broken` });
  await eventually(async () => {
    const told = (await objects.events("connection/broken")).filter(({ reason }) => reason === "StatusRefused");
    expect(told.map(({ note }) => note)).toContainEqual(expect.stringContaining("spec.environmentRef"));
  });
  expect(keystead.output().split(line)).toHaveLength(2);
  // A few passes have their causes in what the tests before did; at full speed it would be hundreds.
  const writes = controllerCalls(namespace).filter(
    ({ verb, objectRef }) => verb === "patch" && objectRef?.name === "broken" && objectRef?.subresource === "status",
  );
  expect(writes.length).toBeLessThan(10);
});

test("bad case 29: when such an object is deleted its credentials are gone at once, although it stays", async () => {
  application = await applicationOf(installation, keystead, "production");
  await objects.startDelete("connection/broken");
  await eventually(async () => expect(await application.credentials("broken", "stripe")).toBe(404));
  expect((await objects.get("connection/broken")).metadata.finalizers).toEqual(["keystead.dev/finalizer"]);
});

test("docs/resources.md: without the rules of its spec, an object that nobody could write takes a change again", async () => {
  const page = readFileSync(new URL("../docs/resources.md", import.meta.url), "utf8");
  const steps = /kubectl patch crd .* -p '(.*)'/.exec(page)?.[1] ?? "no such command";
  // A kind of its own: other tests need the rules of ours meanwhile.
  const group = `${namespace}.test`;
  const crds = parseAllDocuments(crdYaml()).map((one): Crd => one.toJS());
  const crd = crds.find(({ spec }) => spec.names.plural === "connections") ?? expect.unreachable();
  const spec = { ...crd.spec, group, names: { ...crd.spec.names, categories: [], shortNames: [] } };
  const name = `connections.${group}`;
  const { client } = objects;
  await client.request({ method: "POST", path: CRDS, body: { ...crd, metadata: { name }, spec } });
  await kubectl(["wait", "--for=condition=Established", "--timeout=30s", `crd/${name}`]);
  const apiVersion = `${group}/v1alpha1`;
  const object = { apiVersion, kind: "Connection", metadata: { name: "broken", namespace, uid: randomUUID() } };
  const broken = { ...object, spec: { ...good, environmentRef: "production" } };
  await putIntoEtcd(`/registry/${group}/connections/${namespace}/broken`, broken);
  const path = `/apis/${apiVersion}/namespaces/${namespace}/connections/broken`;
  const contentType = "application/merge-patch+json";
  const mend = () => client.request({ method: "PATCH", path, contentType, body: { spec: good } });
  await eventually(() => expect(mend()).rejects.toMatchObject({ code: "kube_invalid" }));

  await kubectl(["patch", "crd", name, "--type=json", "-p", steps]);
  await eventually(() => expect(mend()).resolves.toMatchObject({ spec: good }));
  await client.request({ method: "DELETE", path: `${CRDS}/${name}` });
});

test("what the schema cannot look into is checked all the same: a config that is nested too deep", async () => {
  const deep = JSON.parse(`${'{"a":'.repeat(17)}1${"}".repeat(17)}`) as object;
  await objects.apply(connection("deep", parents, { credentials, config: deep }));

  const stalled = await objects.reach("connection/deep", "Ready=False InvalidSpec", "Stalled=True InvalidSpec");
  expect(conditionOf(stalled, "Stalled")?.message).toContain("spec.config");
});

test("an object that is mended goes on, and one that is not can be deleted", async () => {
  await objects.apply(integration("bent", "production"));
  await objects.ready("integration/bent");

  await objects.delete("connection/bent", "connection/deep", "environment/bent");
  application = await applicationOf(installation, keystead, "production");
  expect(await application.credentials("bent", "stripe")).toBe(404);
});
