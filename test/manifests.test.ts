import * as fc from "fast-check";
import { inject, afterAll, beforeAll, describe, expect, test } from "vitest";
import { hasCode } from "../src/errors.ts";
import { type KubeClient, createKubeClient } from "../src/kube/client.ts";
import { loadIdentity } from "../src/kube/identity.ts";
import type { KubeObject } from "../src/kube/object.ts";
import { apiVersionOf, resourcePath } from "../src/kube/resource-path.ts";
import { parseConnection } from "../src/resources/connection.ts";
import { parseEnvironment } from "../src/resources/environment.ts";
import { parseIntegration } from "../src/resources/integration.ts";
import { KINDS, type KindName, type Refused, SMALLEST, specOf } from "./support/manifest-case.ts";
import { REFUSED_CONNECTIONS } from "./support/refused-connections.ts";
import { REFUSED_ENVIRONMENTS } from "./support/refused-environments.ts";
import { REFUSED_INTEGRATIONS } from "./support/refused-integrations.ts";
import { createNamespace, type TestNamespace } from "./support/servers.ts";
import { TAKEN } from "./support/taken-manifests.ts";

const PARSERS = { Environment: parseEnvironment, Integration: parseIntegration, Connection: parseConnection };
const REFUSED = [...REFUSED_ENVIRONMENTS, ...REFUSED_INTEGRATIONS, ...REFUSED_CONNECTIONS];

function titled(refused: Refused): { readonly title: string; readonly refused: Refused } {
  const number = refused.bad === undefined ? "" : `bad case ${refused.bad}: `;
  return { title: `${number}${refused.kind}: ${refused.why}`, refused };
}

let client: KubeClient;
let namespace: TestNamespace;

beforeAll(async () => {
  client = createKubeClient(await loadIdentity({ kubeconfig: inject("controlPlane").kubeconfig, env: {} }));
  namespace = await createNamespace("manifests");
});

afterAll(async () => {
  await client[Symbol.asyncDispose]();
});

/** What the API server makes of a manifest, without storing it. Field validation is what kubectl asks for by default. */
function dryRun(kind: KindName, name: string, spec: unknown, fieldValidation = "Strict"): Promise<KubeObject> {
  return client.request<KubeObject>({
    method: "POST",
    path: resourcePath(KINDS[kind], { namespace: namespace.name }),
    query: { dryRun: "All", fieldValidation },
    body: { apiVersion: apiVersionOf(KINDS[kind]), kind, metadata: { name }, spec },
  });
}

/** The API server's sentence, or undefined where it took the manifest. */
async function refusalOf(kind: KindName, name: string, spec: unknown): Promise<string | undefined> {
  try {
    await dryRun(kind, name, spec);
    return undefined;
  } catch (error) {
    if (hasCode(error, "kube_invalid")) return error.message;
    throw error;
  }
}

describe("a manifest that is refused by the API server, by a message that names the field", () => {
  test.each(REFUSED.map(titled))("$title", async ({ refused }) => {
    const spec = specOf(refused);

    const refusal = await refusalOf(refused.kind, "refused", spec);

    expect(refusal).toContain(refused.field);
    expect(refusal).toContain(refused.says);
  });

  test("Environment: a name from which no Secret name can be made", async () => {
    expect(await refusalOf("Environment", "a".repeat(245), {})).toContain("spec.secretName");
    expect(await refusalOf("Environment", "a".repeat(244), {})).toBeUndefined();
    expect(await refusalOf("Environment", "a".repeat(245), { secretName: "short" })).toBeUndefined();
  });

  test("Connection: a tag named __proto__", async () => {
    const tags: unknown = JSON.parse('{"__proto__": "x"}');

    expect(await refusalOf("Connection", "refused", { ...SMALLEST.Connection, tags })).toContain("spec.tags");
  });
});

describe("a manifest that is taken, and parsed to what was written", () => {
  test.each(TAKEN)("$kind: $why", async (taken) => {
    const spec = specOf(taken);

    const stored = await dryRun(taken.kind, "taken", spec);

    const parsed = PARSERS[taken.kind](stored);
    expect(parsed).toMatchObject({ ok: true, value: { kind: taken.kind, spec: JSON.parse(JSON.stringify(spec)) } });
  });

  test("what is left out has its default, and a new object says that nobody has looked at it", async () => {
    const stored = await dryRun("Environment", "defaults", undefined);

    expect(stored.spec).toEqual({ retention: "31d" });
    expect(stored.status).toEqual({ observedGeneration: -1 });
  });
});

describe("a stored object of a shape that is refused today", () => {
  test.each(REFUSED.filter(({ stored }) => stored === undefined))(
    "bad case 29: $kind: $why: the parser says so for that object, and names the field",
    (refused) => {
      const metadata = {
        name: "old",
        namespace: "shop",
        uid: "1",
        generation: 3,
        finalizers: ["keystead.dev/finalizer"],
      };

      const parsed = PARSERS[refused.kind]({ metadata, spec: specOf(refused), status: { observedGeneration: 2 } });

      expect(parsed.ok || parsed.message).toContain(refused.field);
      expect(parsed.value).toMatchObject({ kind: refused.kind, metadata, status: { observedGeneration: 2 } });
    },
  );

  test.each(REFUSED.filter(({ stored }) => stored === "pruned"))(
    "bad case 29: $kind: $why: with --validate=false the field is pruned and never reaches the controller",
    async (refused) => {
      const stored = await dryRun(refused.kind, "pruned", specOf(refused), "Ignore");

      expect(JSON.stringify(stored.spec)).not.toContain(
        refused.field.split(".").at(-1) === "apiKey" ? "not-a-real" : "other",
      );
      expect(PARSERS[refused.kind](stored).ok).toBe(true);
    },
  );
});

/** Texts near the line: pieces that are mostly valid, in any order. */
const near = (pieces: readonly string[]) =>
  fc.array(fc.constantFrom(...pieces), { maxLength: 6 }).map((parts) => parts.join(""));

describe("the API server and the parser draw the same line", () => {
  test.each([
    {
      field: "retention",
      texts: near(["1", "31", "3660", "d", "h", "m", "s", "ms", ".", "5", "-", "+", "0", "us", "1h", "30d"]),
      kind: "Environment" as const,
      change: (text: string) => ({ retention: text }),
    },
    {
      field: "the name of a Secret",
      texts: near(["a", "b-", ".", "-", "9", "A", "_", "/", "\u00e9", "aa.bb", "", "\n"]),
      kind: "Environment" as const,
      change: (text: string) => ({ secretName: text }),
    },
    {
      field: "a token URL",
      texts: near([
        "https://",
        "http://",
        "localhost",
        "127.0.0.1",
        ".svc",
        "a",
        ".",
        ":80",
        "/",
        "?",
        "@",
        "#",
        "\\",
        "[::1]",
      ]),
      kind: "Integration" as const,
      change: (text: string) => ({ auth: { mode: "OAUTH2", tokenUrl: text } }),
    },
    {
      field: "an expiry",
      texts: near(["2026-12-01", "2026-02-29", "T", "t", "00:00:00", "24:00:00", "Z", "+01:00", ".5", " "]),
      kind: "Connection" as const,
      change: (text: string) => ({
        credentials: { oauth2: { accessTokenRef: { name: "acme", key: "token" }, expiresAt: text } },
      }),
    },
    {
      field: "a line of text, whatever it holds",
      texts: fc.string({ unit: "binary", maxLength: 12 }),
      kind: "Connection" as const,
      change: (text: string) => ({ endUser: { id: text } }),
    },
  ])("on $field", async ({ texts, kind, change }) => {
    await fc.assert(
      fc.asyncProperty(texts, async (text) => {
        // Lone surrogates cannot be sent: JSON turns them into U+FFFD on the way.
        fc.pre(text.isWellFormed());
        const spec = specOf({ kind, change: change(text) });

        const refusal = await refusalOf(kind, "same", spec);

        expect({ text, taken: PARSERS[kind]({ spec }).ok }).toEqual({ text, taken: refusal === undefined });
      }),
      { numRuns: 200 },
    );
  });
});
