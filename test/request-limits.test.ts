import { afterAll, beforeAll, expect, test } from "vitest";
import { createRequestLimits } from "../src/api/request-limits.ts";
import { admit } from "../src/api/environment-limit.ts";
import { parseCidr } from "../src/cidr.ts";
import { generateToken, tokenDigest } from "../src/crypto/token.ts";
import { ask, createEnvironment, startTestApi, type TestApi } from "./support/api-server.ts";
import { query } from "./support/database.ts";

// How often and from where keys may be used. The tests stand behind a proxy that is trusted.

const ACME = "/connections/acme?provider_config_key=github";
const PROXIED = { "provider-config-key": "github", "connection-id": "acme" };

let api: TestApi;
beforeAll(async () => {
  api = await startTestApi({}, { trustedProxies: [parseCidr("127.0.0.0/8") ?? expect.fail("is a block")] });
});
afterAll(() => api[Symbol.asyncDispose]());

async function withAcme() {
  const environment = await createEnvironment(api);
  await environment.connection(await environment.integration("github"), "acme");
  return environment;
}

const from = (address: string, key: string, path = ACME) =>
  ask(api, path, key, { headers: { "x-forwarded-for": address } });

test("an environment without a limit has no headers about one", async () => {
  const { key } = await withAcme();
  const names = [...(await ask(api, ACME, key)).headers.keys()];
  expect(names.filter((name) => name.includes("ratelimit"))).toEqual([]);
});

test("beyond the burst a request is 429 and says when to come again, on every route and for all keys together", async () => {
  const environment = await withAcme();
  await environment.limit({ requestsPerMinute: 30 });
  const [named = ""] = await environment.apiKeys({ name: "other", scopes: ["connections:list"] });
  const [first, second, third] = [
    await ask(api, ACME, environment.key),
    await ask(api, "/connections", named),
    await ask(api, "/no-such-connection", environment.key),
  ];
  expect([first.status, second.status]).toEqual([200, 200]);
  expect(third.headers.get("x-ratelimit-limit"), "what is no route needs no key").toBeNull();
  expect(Object.fromEntries(first.headers)).toMatchObject({
    "x-ratelimit-limit": "30",
    "x-ratelimit-remaining": "2",
    "ratelimit-policy": '"burst";q=3;w=6, "minute";q=30;w=60',
    ratelimit: '"burst";r=2;t=2',
  });
  const reset = Number(first.headers.get("x-ratelimit-reset"));
  expect(reset - Date.now() / 1_000).toBeGreaterThan(0);
  expect(reset - Date.now() / 1_000).toBeLessThan(5);
  await ask(api, ACME, environment.key);
  const refused = await ask(api, ACME, environment.key);
  expect(refused.status).toBe(429);
  expect(await refused.json()).toEqual({ error: { code: "too_many_request", message: expect.any(String) } });
  expect(Number(refused.headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
  expect(refused.headers.get("x-ratelimit-remaining")).toBe("0");
  expect((await ask(api, "/integrations", named)).status, "whatever the key and the route").toBe(429);

  const other = await withAcme();
  expect((await ask(api, ACME, other.key)).status, "another environment is another matter").toBe(200);
});

test("a revoked key takes nothing from the limit of its environment, and its answer says nothing of it", async () => {
  const environment = await withAcme();
  await environment.limit({ requestsPerMinute: 30 });
  const [leaked = ""] = await environment.apiKeys({ name: "leaked", scopes: ["connections:read_credentials"] });
  expect((await ask(api, ACME, leaked)).headers.get("x-ratelimit-remaining")).toBe("2");
  await environment.apiKeys();
  const refused = await Promise.all([ask(api, ACME, leaked), ask(api, "/connections", leaked)]);
  refused.push(await ask(api, "/proxy/x", leaked, { headers: PROXIED }), await ask(api, ACME, leaked));
  for (const answer of refused) {
    expect([answer.status, await answer.json()]).toMatchObject([401, { error: { code: "unknown_account" } }]);
    expect([...answer.headers.keys()].filter((name) => name.includes("ratelimit"))).toEqual([]);
  }
  expect((await ask(api, ACME, environment.key)).status).toBe(200);
  expect((await ask(api, ACME, environment.key)).status).toBe(200);
});

test("a revoked key is forgotten however often it comes, also where its environment has nothing left", async () => {
  const environment = await withAcme();
  await environment.limit({ requestsPerMinute: 1 });
  const [leaked = ""] = await environment.apiKeys({ name: "leaked", scopes: ["connections:read_credentials"] });
  expect((await ask(api, ACME, leaked)).status).toBe(200);
  expect((await ask(api, ACME, leaked)).status).toBe(429);
  await environment.apiKeys();
  await api.limits.exchange();
  expect((await ask(api, ACME, leaked)).status).toBe(401);
  expect((await ask(api, ACME, environment.key)).status).toBe(429);
});

test("what is refused for its rate is not read, and not in the audit", async () => {
  const environment = await withAcme();
  await environment.limit({ requestsPerMinute: 10 });
  const answers = await Promise.all(Array.from({ length: 5 }, () => ask(api, ACME, environment.key)));
  expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 429, 429, 429, 429]);
  const [reads] = await query<{ reads: number }>(
    api.database.ownerUrl,
    "select sum(occurrences)::int as reads from keystead.audit_events where action = 'connection.credentials-read' and environment_id = $1",
    [environment.id],
  );
  expect(reads?.reads).toBe(1);
});

test("an edited limit holds with the next exchange, also one that is taken away", async () => {
  const environment = await withAcme();
  await environment.limit({ requestsPerMinute: 10 });
  expect((await ask(api, ACME, environment.key)).status).toBe(200);
  expect((await ask(api, ACME, environment.key)).status).toBe(429);
  await environment.limit({ requestsPerMinute: 0 });
  await api.limits.exchange();
  expect((await ask(api, ACME, environment.key)).status).toBe(200);
  await environment.limit({ requestsPerMinute: 20 });
  await api.limits.exchange();
  const answer = await ask(api, ACME, environment.key);
  expect([answer.status, answer.headers.get("x-ratelimit-remaining")]).toEqual([200, "1"]);
});

/** A process of the API as far as limits go, with a clock that the test moves. */
function replica() {
  let now = 0;
  const limits = createRequestLimits({ database: api.vault.database, now: () => now });
  return {
    exchange: () => limits.exchange(),
    pass: (milliseconds: number) => (now += milliseconds),
    async admitted(key: string, requests: number) {
      let count = 0;
      for (let one = 0; one < requests; one += 1) {
        const limit = await limits.of(tokenDigest(key));
        if (limit && admit(limit, "192.0.2.1", now).kind === "admitted") count += 1;
      }
      return count;
    },
  };
}

test("two replicas under overload let in together what one would, within a tenth", async () => {
  const environment = await withAcme();
  await environment.limit({ requestsPerMinute: 600 });
  const replicas = [replica(), replica()];
  let all = 0;
  for (let second = 0; second <= 60; second += 1) {
    for (const one of replicas) {
      all += await one.admitted(environment.key, 30);
      await one.exchange();
      one.pass(1_000);
    }
  }
  expect(all / 660).toBeGreaterThan(0.9);
  expect(all / 660).toBeLessThan(1.1);
});

test("a revoked key is let in nowhere once the counts were exchanged, however often it came before", async () => {
  const environment = await withAcme();
  await environment.limit({ requestsPerMinute: 600 });
  const [leaked = ""] = await environment.apiKeys({ name: "leaked", scopes: ["connections:list"] });
  const one = replica();
  expect(await one.admitted(leaked, 10)).toBe(10);
  expect(await one.admitted(environment.key, 10)).toBe(10);
  await environment.apiKeys();
  await one.exchange();
  for (let second = 0; second < 10; second += 1) {
    expect(await one.admitted(leaked, 10)).toBe(0);
    expect(await one.admitted(environment.key, 1)).toBe(1);
    one.pass(1_000);
    await one.exchange();
  }
});

test("a replica that comes later takes over what is left", async () => {
  const environment = await withAcme();
  await environment.limit({ requestsPerMinute: 600 });
  const first = replica();
  expect(await first.admitted(environment.key, 100)).toBe(60);
  await first.exchange();
  const second = replica();
  expect(await second.admitted(environment.key, 1)).toBe(1);
  await second.exchange();
  expect(await second.admitted(environment.key, 100)).toBe(0);
});

test("while nobody asks nothing is written, and what gone processes wrote is removed", async () => {
  const environment = await withAcme();
  await environment.limit({ requestsPerMinute: 600 });
  const counts = () =>
    query<{ admitted: number; counted_at: Date }>(
      api.database.ownerUrl,
      "select admitted::int as admitted, counted_at from keystead.request_counts where environment_id = $1",
      [environment.id],
    );
  const one = replica();
  await one.exchange();
  expect(await counts()).toEqual([]);
  await one.admitted(environment.key, 3);
  await one.exchange();
  const [written] = await counts();
  expect(written?.admitted).toBe(3);
  await one.exchange();
  one.pass(1_000);
  await one.exchange();
  expect(await counts()).toEqual([written]);

  await query(api.database.ownerUrl, "update keystead.request_counts set counted_at = now() - interval '11 minutes'");
  one.pass(301_000);
  const other = await withAcme();
  await one.admitted(other.key, 1);
  await one.exchange();
  expect(await counts()).toEqual([]);
});

test("a key that opens nothing is looked up each time, and one in use only once", async () => {
  const environment = await withAcme();
  const asked: number[] = [];
  const { database } = api.vault;
  const limits = createRequestLimits({
    database: {
      query: (text, values) => database.query(text, values),
      read: (statement, values) => {
        asked.push(values.length);
        return database.read(statement, values);
      },
    },
  });
  const unknown = tokenDigest(generateToken("secret-key").reveal());
  expect([await limits.of(unknown), await limits.of(unknown)]).toEqual([undefined, undefined]);
  expect(asked).toHaveLength(2);
  const digest = tokenDigest(environment.key);
  await limits.of(digest);
  await limits.of(digest);
  expect(asked).toHaveLength(3);
  await limits.exchange();
  const exchanged = asked.length;
  await limits.of(digest);
  expect(asked).toHaveLength(exchanged);
});

test("keys may be used from the blocks of the environment alone, on every route, by the address past trusted proxies", async () => {
  const environment = await withAcme();
  const [named = ""] = await environment.apiKeys({ name: "other", scopes: ["connections:list"] });
  await environment.limit({ allowedCidrs: ["198.51.100.0/24", "2001:db8::/32"] });
  for (const path of [ACME, "/connections", "/integrations", "/integrations/github", "/environment-variables"]) {
    expect((await from("198.51.100.200", environment.key, path)).status, path).toBe(200);
    expect((await from("2001:db8:1::1", environment.key, path)).status, path).toBe(200);
    const refused = await from("192.0.2.4", environment.key, path);
    expect(refused.status, path).toBe(403);
    expect(await refused.json()).toEqual({
      error: { code: "address_not_allowed", message: expect.stringContaining("192.0.2.4") },
    });
  }
  expect((await from("192.0.2.4", named, "/connections")).status).toBe(403);
  expect((await from("198.51.100.1, 192.0.2.4", environment.key)).status, "written by the caller").toBe(403);
  expect((await ask(api, ACME, environment.key)).status, "from the proxy itself").toBe(403);
  expect(api.logged()).toContain('"address_not_allowed"');
});

test("bad case 37: a revoked key is answered like one that never was, also from where its environment takes none", async () => {
  const environment = await withAcme();
  const [revoked = ""] = await environment.apiKeys({ name: "revoked", scopes: ["connections:read_credentials"] });
  await environment.limit({ allowedCidrs: ["198.51.100.0/24"] });
  expect((await from("198.51.100.1", revoked)).status).toBe(200);
  await environment.apiKeys();
  const answer = await from("192.0.2.9", revoked);
  expect([answer.status, await answer.json()]).toMatchObject([401, { error: { code: "unknown_account" } }]);
});

test("an edit of the blocks counts for the next request, whatever the process remembers", async () => {
  const environment = await withAcme();
  const paths = [ACME, "/connections", "/integrations", "/integrations/github", "/environment-variables"];
  expect((await from("192.0.2.5", environment.key)).status).toBe(200);
  await environment.limit({ allowedCidrs: ["198.51.100.0/24"] });
  for (const path of paths) expect([401, 403], path).toContain((await from("192.0.2.5", environment.key, path)).status);
  await environment.limit({});
  await api.limits.exchange();
  for (const path of paths) expect((await from("192.0.2.5", environment.key, path)).status, path).toBe(200);
});
