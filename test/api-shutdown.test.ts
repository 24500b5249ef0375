import { once } from "node:events";
import {
  Agent,
  request as httpRequest,
  type ClientRequest,
  type IncomingMessage,
  type ServerResponse,
} from "node:http";
import { connect } from "node:net";
import { text as readText } from "node:stream/consumers";
import { expect, test } from "vitest";
import { storeConnection } from "../src/vault/store-connection.ts";
import { storeEnvironment } from "../src/vault/store-environment.ts";
import { storeIntegration } from "../src/vault/store-integration.ts";
import { eventually } from "./support/eventually.ts";
import { startProcess } from "./support/keystead-process.ts";
import { startUpstream } from "./support/upstream.ts";
import {
  createTestVault,
  desiredConnection,
  desiredEnvironment,
  desiredIntegration,
  type TestVault,
} from "./support/vault.ts";

// A process of the API that is told to end while callers wait for their answers, as in each roll-out.

/** An environment whose integration calls `baseUrl`, and its key. */
async function storeProxied({ vault }: TestVault, baseUrl: string): Promise<string> {
  const environment = desiredEnvironment();
  const { id: environmentId, secretKey } = await storeEnvironment(vault, environment);
  const place = { environmentId, environmentUid: environment.owner.uid };
  const { id: integrationId } = await storeIntegration(
    vault,
    desiredIntegration(place, {
      settings: { auth: { mode: "API_KEY" }, proxy: { baseUrl } },
      acceptedOrigins: [baseUrl],
    }),
  );
  await storeConnection(vault, desiredConnection({ ...place, integrationId }));
  return secretKey.reveal();
}

/** The API of a vault, in a process of its own. */
async function startApi(context: TestVault, key: string) {
  const server = startProcess(["api"], {
    DATABASE_URL: context.url,
    KEYSTEAD_ENCRYPTION_KEY: context.keyText,
    KEYSTEAD_OUTBOUND_ALLOW: "127.0.0.1",
    KEYSTEAD_API_HOST: "127.0.0.1",
    KEYSTEAD_API_PORT: "0",
    KEYSTEAD_METRICS_PORT: "0",
    KEYSTEAD_LOG_FORMAT: "json",
  });
  const port = Number((await server.logged("the API is served"))["port"]);
  const headers = { authorization: `Bearer ${key}`, "provider-config-key": "github", "connection-id": "acme" };
  const begin = (method: string, path: string, more: object = {}): ClientRequest =>
    httpRequest({
      host: "127.0.0.1",
      port,
      method,
      path,
      headers: { ...headers, ...more },
      // One connection each, which both sides would keep.
      agent: new Agent({ keepAlive: true, maxSockets: 1 }),
    });
  return { server, port, begin, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

async function answerOf(call: ClientRequest): Promise<IncomingMessage> {
  const [answer] = (await once(call, "response")) as [IncomingMessage];
  return answer;
}

test("told to end, the API finishes slow answers and uploads, closes each connection after its own, and takes no new one", async () => {
  await using context = await createTestVault();
  const held: ServerResponse[] = [];
  await using upstream = await startUpstream({
    listener(asked, answer) {
      if (asked.method === "GET") {
        held.push(answer);
        answer.writeHead(200).write("begun, ");
      } else {
        asked.pipe(answer.writeHead(200));
        answer.flushHeaders();
      }
    },
  });
  const key = await storeProxied(context, upstream.url);
  await using api = await startApi(context, key);
  const { server, port, begin } = api;

  const kept = begin("GET", "/integrations").end();
  await readText(await answerOf(kept));
  const slowAnswer = begin("GET", "/proxy/report").end();
  const slow = await answerOf(slowAnswer);
  const upload = begin("POST", "/proxy/upload");
  upload.write("first, ");
  const echoed = await answerOf(upload);
  const [echo] = (await once(echoed, "data")) as [Buffer];
  const body = JSON.stringify({ provider_config_key: "github", connection_id: "acme", metadata: { plan: "pro" } });
  const change = begin("POST", "/connections/metadata", {
    "content-type": "application/json",
    "content-length": String(body.length),
    expect: "100-continue",
  });
  change.write(body.slice(0, 10));
  const second = begin("PUT", "/proxy/upload", { "content-length": "8", expect: "100-continue" });
  second.write("half");
  // Only their bodies are still to come.
  await Promise.all([once(change, "continue"), once(second, "continue")]);

  const keptClosed = once(kept.socket ?? expect.unreachable(), "close");
  process.kill(server.pid, "SIGTERM");
  await keptClosed;
  await eventually(async () => {
    const late = connect(port, "127.0.0.1").on("error", () => undefined);
    await expect(once(late, "connect")).rejects.toMatchObject({ code: "ECONNREFUSED" });
  });

  const closed = [slowAnswer, upload, change, second].map((call) => once(call.socket ?? expect.unreachable(), "close"));
  held[0]?.end("and whole");
  expect(await readText(slow)).toBe("begun, and whole");
  upload.end("second");
  expect(echo.toString() + (await readText(echoed))).toBe("first, second");
  change.end(body.slice(10));
  const changed = await answerOf(change);
  expect([changed.statusCode, changed.headers.connection]).toEqual([201, "close"]);
  expect(JSON.parse(await readText(changed))).toMatchObject({ metadata: { plan: "pro" } });
  second.end("half");
  const secondAnswer = await answerOf(second);
  expect([secondAnswer.statusCode, secondAnswer.headers.connection]).toEqual([200, "close"]);
  expect(await readText(secondAnswer)).toBe("halfhalf");

  await Promise.all(closed);
  expect(await server.exit).toBe(0);
  expect(server.output()).not.toContain("cut off");
});
