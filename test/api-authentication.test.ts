import { afterAll, beforeAll, expect, test } from "vitest";
import { parseCidr } from "../src/cidr.ts";
import { generateToken } from "../src/crypto/token.ts";
import { ask, createEnvironment, startTestApi, type TestApi, type TestEnvironment } from "./support/api-server.ts";
import { query } from "./support/database.ts";

// Who asks, and what becomes of those who ask without a good key. The tests stand behind a proxy that is trusted, so that
// each of them is an address of its own.

const ACME = "/connections/acme?provider_config_key=github";

let api: TestApi;
let shop: TestEnvironment;
beforeAll(async () => {
  api = await startTestApi({}, { trustedProxies: [parseCidr("127.0.0.0/8") ?? expect.fail("is a block")] });
  shop = await createEnvironment(api);
  await shop.connection(await shop.integration("github"), "acme");
});
afterAll(() => api[Symbol.asyncDispose]());

const from = (address: string, key?: string, path = ACME) =>
  ask(api, path, key, { headers: { "x-forwarded-for": address } });

/** Headers that differ between any two answers. */
const OWN = new Set(["date", "x-request-id"]);

const unknownKey = () => generateToken("secret-key").reveal();

test("bad case 37: an unknown, a revoked, an expired and a deleted key get the same answer on every route, used before or not", async () => {
  const [going, limited] = [await createEnvironment(api), await createEnvironment(api)];
  for (const one of [going, limited]) await one.connection(await one.integration("github"), "acme");
  for (const one of [going, limited]) await one.limit({ requestsPerMinute: 600 });
  const scopes = ["connections:list", "connections:read_credentials"];
  const [revoked = "", expired = "", unused = ""] = await limited.apiKeys(
    { name: "revoked", scopes },
    { name: "expired", scopes, expiresAfterSeconds: 600 },
    { name: "unused", scopes, expiresAfterSeconds: 600 },
  );
  for (const key of [going.key, revoked, expired]) expect((await from("192.0.2.38", key)).status).toBe(200);
  await limited.apiKeys(
    { name: "expired", scopes, expiresAfterSeconds: 600 },
    { name: "unused", scopes, expiresAfterSeconds: 600 },
  );
  await query(
    api.database.ownerUrl,
    "update keystead.key_digests set expires_at = now() - interval '1 second' where expires_at is not null",
  );
  await going.remove();
  for (const path of [ACME, "/connections", "/integrations", "/integrations/github", "/environment-variables"]) {
    const answers = [];
    for (const key of [unknownKey(), revoked, expired, unused, going.key]) {
      const answer = await from("192.0.2.37", key, path);
      const headers = [...answer.headers].filter(([name]) => !OWN.has(name));
      answers.push({ status: answer.status, headers, body: await answer.text() });
    }
    expect(answers[0]?.status).toBe(401);
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size, path).toBe(1);
  }
});

test("an address without a good key is told to wait after a while, and a good key from there is served all the same", async () => {
  const refused = await Promise.all(Array.from({ length: 70 }, () => from("192.0.2.60", unknownKey())));
  const waiting = refused.filter(({ status }) => status === 429);
  expect(refused.filter(({ status }) => status === 401).length + waiting.length).toBe(70);
  expect(waiting.length).toBeGreaterThan(0);
  expect(Number(waiting[0]?.headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
  expect(await waiting[0]?.json()).toEqual({ error: { code: "too_many_request", message: expect.any(String) } });
  // Junk and no key at all count as well. Twenty of each: in the time that all of this takes, a few may be answered again.
  for (const key of ["junk", undefined]) {
    const answers = await Promise.all(Array.from({ length: 20 }, () => from("192.0.2.60", key)));
    expect(answers.map(({ status }) => status)).toContain(429);
  }

  expect((await from("192.0.2.60", shop.key)).status).toBe(200);
  expect((await from("192.0.2.61", unknownKey())).status, "another address is another matter").toBe(401);
});

test("bad case 37: every refusal of a key is told a moment later, so that asking again and again gets nobody far", async () => {
  const going = await createEnvironment(api);
  await going.connection(await going.integration("github"), "acme");
  expect((await from("192.0.2.70", going.key)).status).toBe(200);
  await going.remove();
  for (const key of [unknownKey(), going.key, "junk", undefined]) {
    const askedAt = performance.now();
    expect((await from("192.0.2.70", key)).status).toBe(401);
    // Less a millisecond, by which the clock of timers may differ.
    expect(performance.now() - askedAt).toBeGreaterThanOrEqual(249);
  }
});

test("the audit names who asked, and believes the proxy only", async () => {
  await from("198.51.100.7", shop.key);
  await from("10.0.0.1, 198.51.100.8", shop.key);
  await from("2001:DB8::0001", shop.key);
  await from("nobody", shop.key);
  const events = await query<{ address: string }>(
    api.database.ownerUrl,
    "select address from keystead.audit_events where action = 'connection.credentials-read' and environment_id = $1",
    [shop.id],
  );
  const addresses = new Set(events.map(({ address }) => address));
  expect([...addresses]).toEqual(expect.arrayContaining(["198.51.100.7", "198.51.100.8", "2001:db8::1", "127.0.0.1"]));
  expect(addresses).not.toContain("10.0.0.1");
});

test("without trusted proxies the header says nothing", async () => {
  await using plain = await startTestApi();
  const environment = await createEnvironment(plain);
  await environment.connection(await environment.integration("github"), "acme");
  await ask(plain, ACME, environment.key, { headers: { "x-forwarded-for": "198.51.100.7" } });
  const events = await query(
    plain.database.ownerUrl,
    "select address from keystead.audit_events where action = 'connection.credentials-read'",
  );
  expect(events).toEqual([{ address: "127.0.0.1" }]);
});

test("a refused key has a line in the log with its address and fingerprint, and a good one has none", async () => {
  const before = api.logged().length;
  await from("203.0.113.9", shop.key);
  expect(api.logged().length).toBe(before);
  const key = unknownKey();
  await from("203.0.113.9", key);
  const line = api.logged().slice(before);
  expect(line).toContain('"address":"203.0.113.9"');
  expect(line).toContain('"keyFingerprint"');
  expect(line).not.toContain(key);
});
