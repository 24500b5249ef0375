import { afterAll, expect, test } from "vitest";
import { type Application, applicationOf } from "./support/application.ts";
import { eventually } from "./support/eventually.ts";
import { createInstallation, SERVICE_URL } from "./support/keystead.ts";
import { canary } from "./support/leaks.ts";
import { connection, environment, integration, secret } from "./support/resources.ts";
import { kubectl } from "./support/servers.ts";

// The main job, with nothing but what a user has: kubectl, the Secret, and HTTP.

const installation = await createInstallation("credentials");
const keystead = installation.start("run");
let application: Application;

afterAll(() => installation[Symbol.asyncDispose]());

/** kubectl in the namespace of the installation. */
function kubectlHere(args: readonly string[], stdin?: object): Promise<string> {
  return kubectl(["-n", installation.namespace, ...args], stdin && { stdin: JSON.stringify(stdin) });
}

test("three manifests make a credential that an application reads with the key Kubernetes delivered", async () => {
  const token = canary("token");
  await kubectlHere(["apply", "-f", "-"], {
    apiVersion: "v1",
    kind: "List",
    items: [
      environment("production"),
      integration("stripe", "production"),
      secret("acme", { token }),
      connection("acme", { environment: "production", integration: "stripe" }),
    ],
  });
  await kubectlHere(["wait", "--for=condition=Ready", "--timeout=30s", "kenv/production", "kint/stripe", "kconn/acme"]);

  const host = await kubectlHere(["get", "secret/production-keystead", "-o", "jsonpath={.data.KEYSTEAD_HOST}"]);
  expect(Buffer.from(host, "base64").toString()).toBe(SERVICE_URL);
  application = await applicationOf(installation, keystead, "production");
  expect(await application.nango.getConnection("stripe", "acme")).toMatchObject({
    connection_id: "acme",
    provider_config_key: "stripe",
    credentials: { type: "API_KEY", apiKey: token },
  });
});

test("a changed Secret is served without anybody touching the Connection", async () => {
  const token = canary("changed-token");
  await kubectlHere(["patch", "secret/acme", "--type=merge", "-p", JSON.stringify({ stringData: { token } })]);

  await eventually(async () => {
    expect(await application.credentials("acme", "stripe")).toMatchObject({ apiKey: token });
  });
});

test("a deleted Connection answers 404 once kubectl delete returns, and the others are still served", async () => {
  await kubectlHere(["delete", "connection/acme"]);

  expect(await application.credentials("acme", "stripe")).toBe(404);
  expect((await application.ask("/connections")).status).toBe(200);
});
