import { readFileSync, readdirSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { hasCode } from "../src/errors.ts";
import { type KubeClient, createKubeClient } from "../src/kube/client.ts";
import { loadIdentity } from "../src/kube/identity.ts";
import type { KubeObject } from "../src/kube/object.ts";
import { apiVersionOf, resourcePath } from "../src/kube/resource-path.ts";
import { parseConnection } from "../src/resources/connection.ts";
import { parseEnvironment } from "../src/resources/environment.ts";
import { parseIntegration } from "../src/resources/integration.ts";
import { eventually } from "./support/eventually.ts";
import { LARGEST } from "./support/largest-manifests.ts";
import { KINDS, type KindName, SMALLEST } from "./support/manifest-case.ts";
import { createNamespace, kubectl, type TestNamespace } from "./support/servers.ts";

const PARSERS = { Environment: parseEnvironment, Integration: parseIntegration, Connection: parseConnection };
const EXAMPLES = new URL("../examples/", import.meta.url);

let client: KubeClient;
let namespace: TestNamespace;

beforeAll(async () => {
  client = createKubeClient(await loadIdentity({ kubeconfig: inject("controlPlane").kubeconfig, env: {} }));
  namespace = await createNamespace("in-use");
});

afterAll(async () => {
  await client[Symbol.asyncDispose]();
});

function manifest(kind: KindName, name: string, spec: unknown = SMALLEST[kind]): object {
  return { apiVersion: apiVersionOf(KINDS[kind]), kind, metadata: { name, namespace: namespace.name }, spec };
}

function create(kind: KindName, name: string, spec?: unknown): Promise<KubeObject> {
  const path = resourcePath(KINDS[kind], { namespace: namespace.name });
  return client.request<KubeObject>({ method: "POST", path, body: manifest(kind, name, spec) });
}

function patch(kind: KindName, name: string, body: unknown, subresource?: "status"): Promise<KubeObject> {
  return client.request<KubeObject>({
    method: "PATCH",
    path: resourcePath(KINDS[kind], { namespace: namespace.name, name, subresource }),
    contentType: "application/merge-patch+json",
    body,
  });
}

async function refusalOf(call: Promise<unknown>): Promise<string | undefined> {
  try {
    await call;
    return undefined;
  } catch (error) {
    if (hasCode(error, "kube_invalid")) return error.message;
    throw error;
  }
}

describe("a field that cannot be changed", () => {
  test.each([
    { kind: "Integration" as const, change: { environmentRef: { name: "staging" } }, field: "environmentRef" },
    { kind: "Connection" as const, change: { environmentRef: { name: "staging" } }, field: "environmentRef" },
    { kind: "Connection" as const, change: { integrationRef: { name: "gitlab" } }, field: "integrationRef" },
    { kind: "Connection" as const, change: { connectionId: "other" }, field: "connectionId" },
    { kind: "Connection" as const, change: { connectionId: null }, field: "connectionId" },
  ])("$kind: an edit to $change is refused and says what to do instead", async ({ kind, change, field }) => {
    const name = `fixed-${Object.keys(change).join("").toLowerCase()}-${change.connectionId ?? "x"}`;
    await create(kind, name, { ...SMALLEST[kind], ...(kind === "Connection" && { connectionId: "acme" }) });

    const refusal = await refusalOf(patch(kind, name, { spec: change }));

    expect(refusal).toContain(`spec.${field}: Invalid value: field is immutable: delete the ${kind}`);
  });

  test("a connection id cannot be added later either: applications know the connection by its name already", async () => {
    await create("Connection", "added-later");

    expect(await refusalOf(patch("Connection", "added-later", { spec: { connectionId: "acme" } }))).toContain(
      "spec.connectionId",
    );
  });

  test("everything else can: another kind of credentials, tags, suspend", async () => {
    await create("Connection", "edited");

    const edited = await patch("Connection", "edited", {
      spec: { credentials: { apiKey: null, custom: { secretRef: { name: "acme" } } }, tags: { a: "b" }, suspend: true },
    });

    expect(edited.metadata.generation).toBe(2);
  });
});

describe("status", () => {
  const status = {
    observedGeneration: 1,
    conditions: [
      {
        type: "Ready",
        status: "True",
        reason: "Succeeded",
        message: "Stored.",
        observedGeneration: 1,
        lastTransitionTime: "2026-01-01T00:00:00Z",
      },
    ],
    connectionId: "01980000-0000-7000-8000-000000000000",
    credentials: { type: "API_KEY", expiresAt: "2026-12-01T00:00:00Z" },
  };

  test("cannot be written with the manifest, only by whoever may write the subresource", async () => {
    const created = await client.request<KubeObject>({
      method: "POST",
      path: resourcePath(KINDS.Connection, { namespace: namespace.name }),
      body: { ...manifest("Connection", "status"), status },
    });
    expect(created.status).toEqual({ observedGeneration: -1 });

    const written = await patch("Connection", "status", { status, spec: { suspend: true } }, "status");

    expect(written.status).toEqual(status);
    expect(written.spec).toEqual(created.spec);
    expect(written.metadata.generation).toBe(1);
    expect(parseConnection(written).value.status).toEqual(status);
  });

  test("a status that somebody bent out of shape reads as an empty one and harms nothing else", () => {
    const bent = { metadata: { name: "bent" }, spec: SMALLEST.Connection, status: { conditions: "none" } };

    expect(parseConnection(bent)).toMatchObject({ ok: true, value: { status: { observedGeneration: -1 } } });
  });
});

/** Names of the connections that a field selector finds. */
function select(selector: string): Promise<string> {
  return kubectl(["-n", namespace.name, "get", "connections", "--field-selector", selector, "-o", "name"]);
}

/** What kubectl explains of a field, on one line. The description is published a moment after the CRD is established. */
function explain(path: string): Promise<string> {
  return eventually(async () => (await kubectl(["explain", path])).replaceAll(/\s+/g, " "));
}

describe("kubectl", () => {
  test("get prints what a person looks for, and ids and ends with -o wide", async () => {
    await create("Connection", "columns");
    await patch(
      "Connection",
      "columns",
      {
        status: {
          observedGeneration: 1,
          conditions: [
            {
              type: "Ready",
              status: "False",
              reason: "SecretNotFound",
              message: "Secret acme is missing.",
              lastTransitionTime: "2026-01-01T00:00:00Z",
            },
          ],
          connectionId: "row-1",
          credentials: { type: "API_KEY", expiresAt: "2036-12-01T00:00:00Z" },
        },
      },
      "status",
    );

    const narrow = await kubectl(["-n", namespace.name, "get", "kconn", "columns"]);
    const wide = await kubectl(["-n", namespace.name, "get", "kconn", "columns", "-o", "wide"]);

    expect(narrow).toMatch(/^NAME +READY +REASON +ENVIRONMENT +INTEGRATION +AGE\n/);
    expect(narrow).toMatch(/\ncolumns +False +SecretNotFound +production +github +\d+s/);
    expect(wide).toMatch(/CONNECTION ID +TYPE +EXPIRES +ID +MESSAGE +AGE\n/);
    expect(wide).toMatch(/API_KEY +2036-12-01T00:00:00Z +row-1 +Secret acme is missing\. /);
  });

  test("one category and short names reach all three kinds", async () => {
    await create("Environment", "shown");
    await create("Integration", "shown");
    await create("Connection", "shown");

    const all = await kubectl(["-n", namespace.name, "get", "keystead", "-o", "name"]);
    const short = await kubectl(["-n", namespace.name, "get", "kenv/shown", "kint/shown", "kconn/shown", "-o", "name"]);

    for (const kind of ["environment", "integration", "connection"]) {
      expect(all).toContain(`${kind}.keystead.dev/shown`);
      expect(short).toContain(`${kind}.keystead.dev/shown`);
    }
  });

  test("field selectors find the connections of an environment and of an integration", async () => {
    await create("Connection", "elsewhere", { ...SMALLEST.Connection, environmentRef: { name: "staging" } });
    await create("Connection", "gitlab", { ...SMALLEST.Connection, integrationRef: { name: "gitlab" } });
    expect(await select("spec.environmentRef.name=staging")).toBe("connection.keystead.dev/elsewhere\n");
    expect(await select("spec.integrationRef.name=gitlab")).toBe("connection.keystead.dev/gitlab\n");
  });

  test("explain reads as a manual: the choices, the limits and the defaults are in it", async () => {
    const credentials = await explain("connection.spec.credentials");
    expect(credentials).toContain("exactly one of apiKey, basic, oauth2, oauth2ClientCredentials, app, jwt and custom");
    expect(credentials).toContain("{username: acme, passwordRef: {name: acme, key: password}}");
    expect(await explain("environment.spec.retention")).toContain("from 1h to 3660d");
    expect(await explain("integration.spec.auth.mode")).toContain("OAUTH2_CC (client credentials)");
    expect(await explain("connection.spec.credentials.apiKey.apiKeyRef.key")).toContain("1 byte to 64 KiB");
  });

  test("diff is silent after apply, also after a server-side apply over it and a second one", async () => {
    const stdin = JSON.stringify({
      apiVersion: "v1",
      kind: "List",
      items: [
        manifest("Environment", "applied", { variables: [{ name: "REGION", value: "eu" }], suspend: false }),
        manifest("Integration", "applied"),
        manifest("Connection", "applied", { ...SMALLEST.Connection, config: { a: { b: [1] } }, metadata: {} }),
      ],
    });

    await kubectl(["apply", "-f", "-"], { stdin });
    expect(await kubectl(["diff", "-f", "-"], { stdin })).toBe("");
    await kubectl(["apply", "--server-side", "--force-conflicts", "-f", "-"], { stdin });
    await kubectl(["apply", "--server-side", "-f", "-"], { stdin });
    expect(await kubectl(["diff", "--server-side", "-f", "-"], { stdin })).toBe("");

    const connection = resourcePath(KINDS.Connection, { namespace: namespace.name, name: "applied" });
    expect((await client.request<KubeObject>({ method: "GET", path: connection })).metadata.generation).toBe(1);
  });
});

test("bad case 29: of what the API server stores, one object that we cannot take leaves the others parsed", async () => {
  // The schema cannot look into free-form objects, so this one is really stored.
  const nested = Array.from({ length: 17 }).reduce<object>((inner) => ({ inner }), {});
  await create("Connection", "broken-1", { ...SMALLEST.Connection, metadata: nested });
  await create("Connection", "broken-2", { ...SMALLEST.Connection, config: { id: 2 ** 60 } });
  await create("Connection", "broken-3");

  const path = resourcePath(KINDS.Connection, { namespace: namespace.name });
  const { items } = await client.request<{ readonly items: readonly KubeObject[] }>({ method: "GET", path });
  const parsed = items.filter(({ metadata }) => metadata.name.startsWith("broken-")).map(parseConnection);

  expect(parsed.map((one) => [one.value.metadata.name, one.ok || one.message])).toEqual([
    ["broken-1", "spec.metadata must nest at most 16 deep."],
    ["broken-2", "spec.config must not hold an integer beyond 2^53: write it as text."],
    ["broken-3", true],
  ]);
});

describe("the largest object that the schema allows", () => {
  test.each(["Environment", "Integration", "Connection"] as const)("%s: is stored, edited and parsed", async (kind) => {
    const name = `${"l".repeat(60)}.largest`;

    const stored = await create(kind, name, LARGEST[kind]);
    await patch(kind, name, { spec: { suspend: true } });
    await patch(kind, name, { status: { observedGeneration: 1 } }, "status");

    expect(PARSERS[kind](stored).ok).toBe(true);
  });
});

describe("examples/", () => {
  const files = readdirSync(EXAMPLES).toSorted();

  test("are applied as they are, in the order of their names, and every resource parses", async () => {
    const text = files.map((file) => readFileSync(new URL(file, EXAMPLES), "utf8")).join("---\n");
    // Only the namespace differs, so that other tests can have the examples too.
    const stdin = text.replaceAll("keystead-demo", `${namespace.name}-demo`);

    const applied = await kubectl(["apply", "-f", "-"], { stdin });
    await kubectl(["delete", "namespace", `${namespace.name}-demo`, "--wait=false"]);

    expect(applied.match(/ created\n/g)).toHaveLength(parseAllDocuments(text).length);
    const failures = parseAllDocuments(text)
      .map((document): unknown => document.toJS())
      .map((object) => parseOwn(object))
      .filter((message) => message !== undefined);
    expect(failures).toEqual([]);
  });

  test("mean the same to a reader of YAML 1.1, which takes a bare on or y for a boolean", () => {
    for (const file of files) {
      const text = readFileSync(new URL(file, EXAMPLES), "utf8");
      const read = (version: "1.1" | "1.2") => parseAllDocuments(text, { version }).map((one): unknown => one.toJS());
      expect(read("1.1")).toEqual(read("1.2"));
    }
  });

  test("show each of the seven kinds of credentials", () => {
    const text = files.map((file) => readFileSync(new URL(file, EXAMPLES), "utf8")).join("\n");

    for (const kind of ["apiKey", "basic", "oauth2", "oauth2ClientCredentials", "app", "jwt", "custom"]) {
      expect(text).toMatch(new RegExp(`^  credentials:\n    ${kind}:`, "m"));
    }
  });
});

/** What is wrong with a document, where it is one of ours. */
function parseOwn(object: unknown): string | undefined {
  if (typeof object !== "object" || object === null || !("kind" in object)) return "not an object of Kubernetes";
  const kind = (["Environment", "Integration", "Connection"] as const).find((one) => one === object.kind);
  if (kind === undefined) return undefined;
  const parsed = PARSERS[kind](object);
  return parsed.ok ? undefined : parsed.message;
}
