// Pages of 500 against a streaming list, for the first state of a kind: on the API server that KUBECONFIG names.
//   KUBECONFIG=... node bench/initial-state.ts
// 10,000 objects of a custom kind in full, and 20,000 Secrets of 32 KiB of which only metadata is asked for. Each round is a
// process of its own, so that memory means something. The table is quoted in docs/decisions/0002-initial-state.md.
import { execFile } from "node:child_process";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import type { KubeClient } from "../src/kube/client.ts";
import { createKubeClient } from "../src/kube/client.ts";
import { loadIdentity } from "../src/kube/identity.ts";
import type { ObjectMeta } from "../src/kube/object.ts";
import type { InitialState } from "../src/kube/reflector-position.ts";
import { startReflector } from "../src/kube/reflector.ts";
import type { ResourceKind } from "../src/kube/resource-path.ts";
import { resourcePath, SECRET } from "../src/kube/resource-path.ts";

const KIND: ResourceKind = { group: "bench.keystead.dev", version: "v1", plural: "states", kind: "State" };
const DEFINITIONS: ResourceKind = {
  group: "apiextensions.k8s.io",
  version: "v1",
  plural: "customresourcedefinitions",
  kind: "CustomResourceDefinition",
};
const OBJECTS = 10_000;
const SECRETS = 20_000;
const ROUNDS = 5;
const NAMESPACE = "bench-initial-state";

interface Result {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly peakMb: number;
  /** After a garbage collection, with the state held. */
  readonly heapMb: number;
}

const [mode, what] = process.argv.slice(2);
const identity = await loadIdentity({ env: process.env });
await using client = createKubeClient(identity, { userAgent: "keystead-bench" });
if (mode === "list" || mode === "watch-list") console.log(JSON.stringify(await once(client, mode, what === "secrets")));
else if (mode === "none") console.log(JSON.stringify(await idle(client)));
else await main(client);

async function main(over: KubeClient): Promise<void> {
  await prepare(over);
  const rows: Record<string, string | number>[] = [];
  const nothing = await inProcess(["none"]);
  for (const kind of ["objects", "secrets"]) {
    const results: Record<InitialState, Result[]> = { list: [], "watch-list": [] };
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const state of ["list", "watch-list"] as const) results[state].push(await inProcess([state, kind]));
    }
    for (const state of ["list", "watch-list"] as const) {
      rows.push({
        what: kind === "objects" ? `${OBJECTS} objects, all held` : `${SECRETS} Secrets, metadata, none held`,
        how: state,
        seconds: median(results[state].map((one) => one.seconds)).toFixed(2),
        "CPU seconds": median(results[state].map((one) => one.cpuSeconds)).toFixed(2),
        "peak RSS, MB over idle": Math.round(median(results[state].map((one) => one.peakMb)) - nothing.peakMb),
        "heap held, MB over idle": (median(results[state].map((one) => one.heapMb)) - nothing.heapMb).toFixed(1),
      });
    }
  }
  console.table(rows);
}

async function inProcess(args: string[]): Promise<Result> {
  const { stdout } = await promisify(execFile)(process.execPath, ["--expose-gc", import.meta.filename, ...args]);
  return JSON.parse(stdout);
}

async function once(over: KubeClient, initialState: InitialState, secrets: boolean): Promise<Result> {
  await over.request({ method: "GET", path: "/version" });
  const [cpuBefore, startedAt] = [process.cpuUsage(), performance.now()];
  await using reflector = startReflector<{ metadata: ObjectMeta; spec: unknown }>({
    client: over,
    kind: secrets ? SECRET : KIND,
    metadataOnly: secrets,
    initialState,
    keep: (object) => (secrets ? undefined : { metadata: lean(object.metadata), spec: object.spec }),
    handler: { changed: () => undefined, deleted: () => undefined },
  });
  await reflector.synced;
  const seconds = (performance.now() - startedAt) / 1_000;
  const cpu = process.cpuUsage(cpuBefore);
  const peakMb = process.resourceUsage().maxRSS / 1_024;
  return { seconds, cpuSeconds: (cpu.user + cpu.system) / 1e6, peakMb, heapMb: await heapMb() };
}

async function idle(over: KubeClient): Promise<Result> {
  await over.request({ method: "GET", path: "/version" });
  return { seconds: 0, cpuSeconds: 0, peakMb: process.resourceUsage().maxRSS / 1_024, heapMb: await heapMb() };
}

async function heapMb(): Promise<number> {
  for (let times = 0; times < 3; times += 1) {
    globalThis.gc?.();
    await pause(50);
  }
  return process.memoryUsage().heapUsed / 1e6;
}

/** Without `managedFields`, as Keystead holds it. */
function lean(metadata: ObjectMeta): ObjectMeta {
  const { name, namespace, uid, resourceVersion, generation, finalizers } = metadata;
  return {
    name,
    uid,
    resourceVersion,
    ...(namespace === undefined ? {} : { namespace }),
    ...(generation === undefined ? {} : { generation }),
    ...(finalizers === undefined ? {} : { finalizers }),
  };
}

function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[values.length >> 1] ?? 0;
}

async function prepare(over: KubeClient): Promise<void> {
  await put(over, "/api/v1/namespaces", { metadata: { name: NAMESPACE } });
  const object = { type: "object", "x-kubernetes-preserve-unknown-fields": true };
  await put(over, resourcePath(DEFINITIONS), {
    metadata: { name: `${KIND.plural}.${KIND.group}` },
    spec: {
      group: KIND.group,
      scope: "Namespaced",
      names: { plural: KIND.plural, singular: "state", kind: KIND.kind },
      versions: [
        {
          name: KIND.version,
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: "object", properties: { spec: object } } },
        },
      ],
    },
  });
  const spec = {
    environmentRef: { name: "production" },
    integrationRef: { name: "github" },
    credentials: {
      oauth2: { accessTokenRef: { name: "acme", key: "access" }, refreshTokenRef: { name: "acme", key: "refresh" } },
    },
    tags: { team: "sales" },
    endUser: { id: "42", email: "someone@acme.example", displayName: "Acme" },
  };
  await many(OBJECTS, (index) =>
    put(over, resourcePath(KIND, { namespace: NAMESPACE }), {
      apiVersion: `${KIND.group}/${KIND.version}`,
      kind: KIND.kind,
      metadata: { name: `object-${index}`, finalizers: ["keystead.dev/finalizer"] },
      spec: { ...spec, connectionId: `connection-${index}` },
    }),
  );
  const data = { payload: Buffer.alloc(32 * 1_024, "x").toString("base64") };
  await many(SECRETS, (index) =>
    put(over, resourcePath(SECRET, { namespace: NAMESPACE }), { metadata: { name: `secret-${index}` }, data }),
  );
}

async function many(count: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) {
      next += 1;
      await work(next);
    }
  };
  await Promise.all(Array.from({ length: 32 }, worker));
}

/** Makes what is not there yet. A kind takes a moment to be served. */
async function put(over: KubeClient, path: string, body: object): Promise<void> {
  for (let attempts = 0; ; attempts += 1) {
    try {
      await over.request({ method: "POST", path, body, discardAnswer: true });
      return;
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "kube_already_exists") return;
      if (attempts === 50) throw error;
      await pause(200);
    }
  }
}
