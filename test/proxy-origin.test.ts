import { afterAll, expect, test } from "vitest";
import { applicationOf } from "./support/application.ts";
import { eventually } from "./support/eventually.ts";
import { createInstallation } from "./support/keystead.ts";
import { canary } from "./support/leaks.ts";
import { conditionOf, conditionsOf, connection, environment, integration, secret } from "./support/resources.ts";
import { startUpstream } from "./support/upstream.ts";

// An Integration that is edited to point elsewhere, from the manifest to the provider.

const installation = await createInstallation("origins");
const { objects } = installation;
const keystead = installation.start("run", { KEYSTEAD_OUTBOUND_ALLOW: "shop=10.0.0.0/8, 127.0.0.1/32" });

afterAll(() => installation[Symbol.asyncDispose]());

test("credentials are sent to another origin only after it was accepted by name", async () => {
  await using first = await startUpstream();
  await using second = await startUpstream();
  const place = { headers: { "x-key": "${credentials.apiKey}" } };
  const pointing = (baseUrl: string) => integration("tool", "shop", { proxy: { baseUrl, ...place } });
  const token = canary("acme");
  await objects.apply(
    environment("shop"),
    pointing(`${first.url}/v1`),
    secret("acme", { token }),
    connection("acme", { environment: "shop", integration: "tool" }),
  );
  await objects.ready("environment/shop", "integration/tool", "connection/acme");
  const { nango } = await applicationOf(installation, keystead, "shop");
  const call = () => nango.get({ endpoint: "/x", providerConfigKey: "tool", connectionId: "acme" });
  expect((await call()).status).toBe(200);
  expect(first.calls[0]).toMatchObject({ url: "/v1/x", headers: { "x-key": token } });

  // Another path is no other origin.
  await objects.apply(pointing(`${first.url}/v2`));
  await eventually(async () => {
    await call();
    expect(first.calls.at(-1)?.url).toBe("/v2/x");
  });
  expect(conditionsOf(await objects.get("integration/tool"))).toEqual(["Ready=True Succeeded"]);

  await objects.apply(pointing(second.url));
  await eventually(async () => {
    expect(conditionsOf(await objects.get("integration/tool"))).toEqual([
      "Ready=False OriginChanged",
      "Stalled=True OriginChanged",
    ]);
  });
  const { message = "" } = conditionOf(await objects.get("integration/tool"), "Stalled") ?? {};
  expect(message).toContain(`keystead.dev/accept-origin to ${second.url};`);
  await expect(call()).rejects.toMatchObject({
    response: { status: 409, data: { error: { code: "origin_not_accepted" } } },
  });
  expect(second.connections).toBe(0);

  // One that is only added stops the calls to the one before as well.
  const calls = first.calls.length;
  await objects.apply(
    integration("tool", "shop", { proxy: { baseUrl: first.url, allowedBaseUrls: [second.url], ...place } }),
  );
  await eventually(async () => {
    const { metadata, status } = await objects.get("integration/tool");
    expect(status?.observedGeneration).toBe(metadata.generation);
  });
  expect(conditionsOf(await objects.get("integration/tool"))).toContain("Stalled=True OriginChanged");
  await expect(call()).rejects.toMatchObject({ response: { status: 409 } });
  expect([first.calls.length, second.connections]).toEqual([calls, 0]);
  await objects.apply(pointing(second.url));

  const annotations = { "keystead.dev/accept-origin": second.url };
  await objects.patch("integration/tool", { metadata: { annotations } });
  await objects.ready("integration/tool");
  expect((await call()).status).toBe(200);
  expect(second.calls).toHaveLength(1);
});
