// HTTP/1.1 with kept connections against HTTP/2 with one session, on the API server that KUBECONFIG names:
//   KUBECONFIG=... node bench/transport.ts
// Rounds alternate, so that whatever else the machine does meets both. The table is quoted in docs/decisions/0001-http-transport.md.
import type { ClientHttp2Session } from "node:http2";
import { connect } from "node:http2";
import type { KubeClient } from "../src/kube/client.ts";
import { createKubeClient } from "../src/kube/client.ts";
import type { Identity } from "../src/kube/identity.ts";
import { loadIdentity } from "../src/kube/identity.ts";
import type { ResourceKind } from "../src/kube/resource-path.ts";
import { resourcePath } from "../src/kube/resource-path.ts";
import type { WireCall } from "../src/kube/exchange.ts";
import { createTransport } from "../src/kube/transport.ts";

/** Kind of its own, shaped like ours: a spec, and a status behind its own path. */
const KIND: ResourceKind = { group: "bench.keystead.dev", version: "v1", plural: "transports", kind: "Transport" };
const DEFINITION: ResourceKind = {
  group: "apiextensions.k8s.io",
  version: "v1",
  plural: "customresourcedefinitions",
  kind: "CustomResourceDefinition",
};
const OBJECTS = 500;
const CALLS_PER_ROUND = 1_000;
/** Short ones, each transport in turn: the ratio of neighbours holds also where the rates move with the machine. */
const ROUNDS = 21;
/** As many as the client's connections by default. */
const IN_FLIGHT = 32;

type Call = (name: string, round: number) => Promise<void>;
interface Result {
  readonly rate: number;
  readonly cpuMs: number;
}
const NOTHING: Result = { rate: 0, cpuMs: 0 };

interface Contender {
  readonly transport: string;
  readonly get: Call;
  readonly patch: Call;
}

const identity = await loadIdentity({ env: process.env });
await using client = createKubeClient(identity, { userAgent: "keystead-bench" });
await prepare(client);
const session = connect(`https://${identity.server.host}:${identity.server.port}`, sessionOptions(identity));
session.on("error", () => undefined);
const http1 = createTransport(identity.server, IN_FLIGHT);
const contenders: Contender[] = [
  { transport: "HTTP/1.1", get: (name) => getOverHttp1(name), patch: (name, round) => patchOverHttp1(name, round) },
  { transport: "HTTP/2", get: (name) => getOverHttp2(name), patch: (name, round) => patchOverHttp2(name, round) },
];
const rows: Record<string, string | number>[] = [];
for (const call of ["get", "patch"] as const) {
  for (const contender of contenders) await measure(contender[call], -1, 500);
  const results: Result[][] = [];
  for (let round = 0; round < ROUNDS; round += 1) results.push(await measureRound(call, round));
  for (const [index, { transport }] of contenders.entries()) {
    const of = (figure: (result: Result) => number) => median(results.map((round) => figure(round[index] ?? NOTHING)));
    const ratio = median(results.map((round) => (round[index]?.rate ?? 0) / (round[0]?.rate ?? 1)));
    rows.push({
      call: call === "get" ? "GET of an object" : "status patch",
      transport,
      "calls/s": Math.round(of((result) => result.rate)),
      "against HTTP/1.1": ratio.toFixed(2),
      "client CPU, ms a call": of((result) => result.cpuMs).toFixed(3),
    });
  }
}
session.close();
http1.close();
console.table(rows);

/** One round of each, in alternating order. */
async function measureRound(call: "get" | "patch", round: number): Promise<Result[]> {
  const order = round % 2 === 0 ? contenders : contenders.toReversed();
  const results = new Map<Contender, Result>();
  for (const contender of order) results.set(contender, await measure(contender[call], round, CALLS_PER_ROUND));
  return contenders.map((contender) => results.get(contender) ?? NOTHING);
}

function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[values.length >> 1] ?? 0;
}

async function measure(call: Call, round: number, calls: number): Promise<Result> {
  let next = 0;
  const cpuBefore = process.cpuUsage();
  const startedAt = performance.now();
  const worker = async (): Promise<void> => {
    while (next < calls) {
      const index = next;
      next += 1;
      await call(`object-${index % OBJECTS}`, round * calls + index);
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, worker));
  const seconds = (performance.now() - startedAt) / 1_000;
  const cpu = process.cpuUsage(cpuBefore);
  return { rate: calls / seconds, cpuMs: (cpu.user + cpu.system) / 1_000 / calls };
}

function statusPatch(value: number): string {
  return JSON.stringify([{ op: "add", path: "/status", value: { observedGeneration: 1, value } }]);
}

async function getOverHttp1(name: string): Promise<void> {
  const answer = await http1.send(wireCall("GET", resourcePath(KIND, { namespace: "default", name }), {}));
  JSON.parse(answer.body);
}

async function patchOverHttp1(name: string, value: number): Promise<void> {
  const body = statusPatch(value);
  const headers = { "content-type": "application/json-patch+json", "content-length": String(body.length) };
  const path = resourcePath(KIND, { namespace: "default", name, subresource: "status" });
  await http1.send({ ...wireCall("PATCH", path, headers), body });
}

function wireCall(method: string, path: string, headers: Record<string, string>): WireCall {
  return {
    method,
    path,
    headers: { accept: "application/json", ...headers },
    deadlineAt: performance.now() + 30_000,
    silenceMs: 10_000,
    maxAnswerBytes: 8_000_000,
    discardAnswer: false,
  };
}

async function getOverHttp2(name: string): Promise<void> {
  const body = await exchange(session, { ":path": resourcePath(KIND, { namespace: "default", name }) });
  JSON.parse(body);
}

async function patchOverHttp2(name: string, value: number): Promise<void> {
  const path = resourcePath(KIND, { namespace: "default", name, subresource: "status" });
  const headers = { ":method": "PATCH", ":path": path, "content-type": "application/json-patch+json" };
  await exchange(session, headers, statusPatch(value));
}

function exchange(over: ClientHttp2Session, headers: Record<string, string>, body?: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const stream = over.request({ accept: "application/json", ...headers });
    const chunks: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("error", reject);
    stream.on("end", () => resolve(Buffer.concat(chunks).toString("utf8")));
    stream.end(body);
  });
}

function sessionOptions({ server: { tls } }: Identity) {
  const { ca, cert, key } = tls;
  return { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) };
}

async function prepare(over: KubeClient): Promise<void> {
  const name = `${KIND.plural}.${KIND.group}`;
  await over.request({ method: "DELETE", path: resourcePath(DEFINITION, { name }) }).catch(() => undefined);
  const object = { type: "object", "x-kubernetes-preserve-unknown-fields": true };
  const body = {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: DEFINITION.kind,
    metadata: { name },
    spec: {
      group: KIND.group,
      scope: "Namespaced",
      names: { plural: KIND.plural, singular: "transport", kind: KIND.kind },
      versions: [
        {
          name: KIND.version,
          served: true,
          storage: true,
          subresources: { status: {} },
          schema: { openAPIV3Schema: { type: "object", properties: { spec: object, status: object } } },
        },
      ],
    },
  };
  await untilDone(() => over.request({ method: "POST", path: resourcePath(DEFINITION), body }));
  const path = resourcePath(KIND, { namespace: "default" });
  for (let index = 0; index < OBJECTS; index += 1) {
    const made = {
      apiVersion: `${KIND.group}/${KIND.version}`,
      kind: KIND.kind,
      metadata: { name: `object-${index}` },
      spec: {
        config: { subdomain: "acme" },
        tags: { team: "sales" },
        credentials: { apiKey: { name: "acme", key: "token" } },
      },
    };
    await untilDone(() => over.request({ method: "POST", path, body: made }));
  }
}

/** A definition takes a moment to go and a moment to be served. */
async function untilDone(work: () => Promise<unknown>): Promise<void> {
  for (let attempts = 0; ; attempts += 1) {
    try {
      await work();
      return;
    } catch (error) {
      if (attempts === 100) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
