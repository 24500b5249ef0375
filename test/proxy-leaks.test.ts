import { expect, test } from "vitest";
import { ask, createEnvironment, startTestApi } from "./support/api-server.ts";
import { allowing } from "./support/outbound.ts";
import { selfSigned } from "./support/self-signed.ts";
import { redirect, startUpstream, text } from "./support/upstream.ts";

/** Recognisable parts of all that may be secret in a call: what is stored, what the caller adds, what the provider says. */
const CANARIES = ["canary-apikey", "canary-config", "canary-caller", "canary-body", "canary-query", "canary-upstream"];

test("bad case 36: whatever becomes of a proxied call, no credential is in an error, the log, a metric or the audit", async () => {
  await using upstream = await startUpstream();
  await using tls = await startUpstream({ tls: await selfSigned("localhost") });
  await using api = await startTestApi(
    { providerFirstByte: 50, providerIdle: 200 },
    { cutOff: AbortSignal.abort(), wayOut: { allow: allowing("127.0.0.1,localhost") } },
  );
  const environment = await createEnvironment(api);
  const place = {
    headers: { authorization: "Bearer ${credentials.apiKey}", "x-config": "${config.token}" },
    query: { key: "${credentials.apiKey}" },
  };
  const baseUrls = {
    here: `${upstream.url}/bot$\{credentials.apiKey}`,
    tls: tls.url,
    refused: "https://10.0.0.1",
    metadata: "http://169.254.169.254",
    nobody: "https://127.0.0.1:1",
    unknown: "https://does-not-exist.invalid",
  };
  for (const [name, baseUrl] of Object.entries(baseUrls)) {
    const made = await environment.integration(name, { proxy: { baseUrl, ...place } });
    const credentials = { type: "API_KEY", value: { apiKey: "canary-apikey" } } as const;
    await environment.connection(made, "acme", { credentials, config: { token: "canary-config" } });
    const odd = { type: "API_KEY", value: { apiKey: "canary-apikey\r\nx: 1" } } as const;
    await environment.connection(made, "odd", { credentials: odd, config: { token: "canary-config" } });
  }

  const bodies: string[] = [];
  const fails = async (integration: string, code: string, connectionId = "acme"): Promise<void> => {
    const answer = await ask(api, "/proxy/things?q=canary-query", environment.key, {
      method: "POST",
      headers: {
        "provider-config-key": integration,
        "connection-id": connectionId,
        "nango-proxy-x-own": "canary-caller",
      },
      body: "canary-body",
    });
    const body = await answer.text();
    bodies.push(body);
    expect(body, integration).toContain(`"code":"${code}"`);
  };
  await fails("refused", "outbound_refused");
  await fails("metadata", "outbound_refused");
  await fails("tls", "outbound_tls_invalid");
  await fails("nobody", "outbound_unreachable");
  await fails("unknown", "outbound_unreachable");
  await fails("here", "proxy_template_unresolved", "odd");
  upstream.script((_response, _call, socket) => socket.resetAndDestroy());
  await fails("here", "outbound_unreachable");
  upstream.script((_response, _call, socket) => void socket.end("canary-upstream is no HTTP\r\n\r\n"));
  await fails("here", "outbound_answer_invalid");
  upstream.script(() => undefined);
  await fails("here", "outbound_timeout");
  upstream.script(redirect("/again?key=canary-upstream", 307));
  await fails("here", "outbound_redirects_exceeded");
  upstream.script(redirect("http://169.254.169.254/canary-upstream"));
  await fails("here", "outbound_refused");
  upstream.script((response) => {
    response.writeHead(200, { "content-length": "100" }).write("half");
    setImmediate(() => response.destroy());
  });
  const init = { headers: { "provider-config-key": "here", "connection-id": "acme" } };
  await expect(ask(api, "/proxy/x", environment.key, init).then((answer) => answer.text())).rejects.toThrow();
  // The provider's own error is the caller's to see, and nobody else's.
  upstream.script(text('{"error":"canary-upstream"}', {}, 401));
  expect((await ask(api, "/proxy/x", environment.key, init)).status).toBe(401);
  expect(upstream.calls.at(-1)?.headers.authorization, "it was in the calls").toBe("Bearer canary-apikey");

  const audit = await api.vault.database.query<{ events: string }>(
    "select json_agg(a)::text as events from keystead.audit_events a",
  );
  const places = {
    errors: bodies.join("\n"),
    log: api.logged(),
    metrics: await api.registry.metrics(),
    audit: audit[0]?.events ?? "",
  };
  expect(places.log, "failures are in the log, at its finest level").toContain("outbound_timeout");
  expect(places.audit).toContain("connection.proxied");
  for (const [where, found] of Object.entries(places)) {
    const leaked = [...CANARIES, environment.key].filter((secret) => found.includes(secret));
    expect(leaked, `in ${where}`).toEqual([]);
  }
});
