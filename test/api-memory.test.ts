import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { storeConnection } from "../src/vault/store-connection.ts";
import { storeEnvironment } from "../src/vault/store-environment.ts";
import { storeIntegration } from "../src/vault/store-integration.ts";
import { startProcess } from "./support/keystead-process.ts";
import { insertConnections } from "./support/many-connections.ts";
import { startFlood } from "./support/start-flood.ts";
import {
  createTestVault,
  desiredConnection,
  desiredEnvironment,
  desiredIntegration,
  type TestVault,
} from "./support/vault.ts";

// What long lists and large bodies take of a process of the API, started as it is in production.

const CONNECTIONS = 100_000;

/** Bytes streamed each way; 1 GiB takes the same memory and more time. `KEYSTEAD_TEST_STREAMED_MIB=1024` is that. */
const STREAMED = Number(process.env["KEYSTEAD_TEST_STREAMED_MIB"] ?? 256) * 1024 * 1024;

/** An environment whose integration calls `baseUrl`, with one connection. */
async function storeProxied({ vault }: TestVault, baseUrl: string): Promise<string> {
  const environment = desiredEnvironment();
  const { id: environmentId, secretKey } = await storeEnvironment(vault, environment);
  const place = { environmentId, environmentUid: environment.owner.uid };
  const settings = { auth: { mode: "API_KEY" }, proxy: { baseUrl } };
  const desired = desiredIntegration(place, { settings, acceptedOrigins: [baseUrl] });
  const { id: integrationId } = await storeIntegration(vault, desired);
  await storeConnection(vault, desiredConnection({ ...place, integrationId }));
  return secretKey.reveal();
}

async function startApi(context: TestVault) {
  const server = startProcess(["api"], {
    DATABASE_URL: context.url,
    KEYSTEAD_ENCRYPTION_KEY: context.keyText,
    KEYSTEAD_OUTBOUND_ALLOW: "127.0.0.1",
    KEYSTEAD_API_PORT: "0",
    KEYSTEAD_METRICS_PORT: "0",
    KEYSTEAD_LOG_FORMAT: "json",
    // As in the image: threads of their own would keep what they freed.
    MALLOC_ARENA_MAX: "1",
  });
  const url = `http://127.0.0.1:${Number((await server.logged("the API is served"))["port"])}`;
  return { url, pid: server.pid, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

/** `VmRSS` is what a process has in memory now, `VmHWM` the most it ever had. */
function residentMegabytes(pid: number, field: "VmRSS" | "VmHWM"): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(status)?.[1]) / 1_024;
}

/** By how much the process was larger than before at any moment of the work, in MB. */
async function growthDuring(pid: number, work: () => Promise<void>): Promise<number> {
  const before = residentMegabytes(pid, "VmRSS");
  await work();
  return residentMegabytes(pid, "VmHWM") - before;
}

interface Part {
  readonly connections: readonly unknown[];
  readonly next_cursor?: string;
}

test("100,000 connections are listed without the memory of the server growing by more than 30 MB", async () => {
  await using context = await createTestVault();
  const key = await storeProxied(context, "https://api.example");
  await insertConnections(context.ownerUrl, CONNECTIONS);
  await using api = await startApi(context);
  const part = async (path: string): Promise<Part> => {
    const response = await fetch(api.url + path, { headers: { authorization: `Bearer ${key}` } });
    return (await response.json()) as Part;
  };
  // Code is compiled and buffers are made once.
  await part("/connections?limit=2000");
  let count = 0;
  const growth = await growthDuring(api.pid, async () => {
    for (let next: string | undefined = ""; next !== undefined;) {
      const { connections, next_cursor: cursor }: Part = await part(`/connections${next && `?cursor=${next}`}`);
      count += connections.length;
      next = cursor;
    }
  });
  expect(count).toBe(CONNECTIONS + 1);
  expect(growth).toBeLessThan(30);
});

test("a body far larger than the 40 MB that it takes passes through the proxy both ways at once", async () => {
  await using context = await createTestVault();
  await using flood = await startFlood();
  const key = await storeProxied(context, `http://127.0.0.1:${flood.port}`);
  await using api = await startApi(context);
  const headers = { authorization: `Bearer ${key}`, "provider-config-key": "github", "connection-id": "acme" };
  const call = { url: `${api.url}/proxy/x`, headers };
  expect(await flood.send({ ...call, bytes: 1_024 * 1_024 })).toBe(1_024 * 1_024);
  const growth = await growthDuring(api.pid, async () => {
    expect(await flood.send({ ...call, bytes: STREAMED })).toBe(STREAMED);
  });
  expect(growth).toBeLessThan(40);
});
