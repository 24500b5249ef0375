import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "./support/eventually.ts";
import { createInstallation, type Installation, SERVICE_URL } from "./support/keystead.ts";
import {
  apiKeyConnection,
  apiKeyIntegration,
  apply,
  conditionOf,
  environment,
  get,
  secret,
  waitReady,
} from "./support/resources.ts";
import { kubectl } from "./support/servers.ts";

let installation: Installation;
let api: string;

beforeAll(async () => {
  installation = await createInstallation("credentials");
  api = await installation.apiOf(installation.start("run"));
});
afterAll(() => installation[Symbol.asyncDispose]());

/** The environment's secret key as an application gets it: from the Secret. */
async function secretKey(name: string): Promise<string> {
  const { data } = await get(installation.namespace, `secret/${name}-keystead`);
  return Buffer.from(data?.["KEYSTEAD_SECRET_KEY"] ?? "", "base64").toString();
}

function read(key: string, connectionId: string, integration: string): Promise<Response> {
  const url = `${api}/connections/${connectionId}?provider_config_key=${integration}`;
  return fetch(url, { headers: { authorization: `Bearer ${key}` } });
}

test("three manifests make a credential that an application reads with the key Kubernetes delivered", async () => {
  const { namespace } = installation;

  await apply(
    namespace,
    environment("production"),
    apiKeyIntegration("stripe", "production"),
    secret("acme", { token: "sk_live_acme" }),
    apiKeyConnection("acme", { environment: "production", integration: "stripe" }),
  );
  await waitReady(namespace, "environment/production", "integration/stripe", "connection/acme");

  const written = await get(namespace, "secret/production-keystead");
  expect(Buffer.from(written.data?.["KEYSTEAD_HOST"] ?? "", "base64").toString()).toBe(SERVICE_URL);
  const response = await read(await secretKey("production"), "acme", "stripe");
  expect(response.status).toBe(200);
  expect(await response.json()).toMatchObject({
    connection_id: "acme",
    provider_config_key: "stripe",
    credentials: { type: "API_KEY", apiKey: "sk_live_acme" },
  });
});

test("a changed Secret is served without anybody touching the Connection", async () => {
  const { namespace } = installation;
  await apply(namespace, secret("acme", { token: "sk_live_changed" }));

  await eventually(async () => {
    const response = await read(await secretKey("production"), "acme", "stripe");
    expect(await response.json()).toMatchObject({ credentials: { apiKey: "sk_live_changed" } });
  });
});

test("a deleted Connection answers 404 once kubectl delete returns", async () => {
  const { namespace } = installation;
  await kubectl(["-n", namespace, "delete", "connection/acme"]);

  const response = await read(await secretKey("production"), "acme", "stripe");
  expect(response.status).toBe(404);
  expect(conditionOf(await get(namespace, "environment/production"), "Ready")?.status).toBe("True");
});
