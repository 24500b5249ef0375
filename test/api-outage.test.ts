import { Client } from "pg";
import { expect, test } from "vitest";
import { generateToken } from "../src/crypto/token.ts";
import { ask, createEnvironment, startTestApi } from "./support/api-server.ts";
import { query } from "./support/database.ts";
import { eventually } from "./support/eventually.ts";

// What callers see while the database is away, while it is slow, and while the process ends.

const ACME = "/connections/acme?provider_config_key=github";

async function startWithAcme() {
  const api = await startTestApi();
  const environment = await createEnvironment(api);
  await environment.connection(await environment.integration("github"), "acme");
  return { api, key: environment.key, [Symbol.asyncDispose]: () => api[Symbol.asyncDispose]() };
}

test("while the database is away reads are 503, junk is still 401, and the first reads after it is back are served", async () => {
  await using started = await startWithAcme();
  const { api, key } = started;
  expect((await ask(api, ACME, key)).status).toBe(200);
  api.wire.sever();
  const answer = await ask(api, ACME, key);
  expect([answer.status, answer.headers.get("retry-after")]).toEqual([503, "1"]);
  expect(await answer.json()).toEqual({ error: { code: "database_unavailable", message: expect.any(String) } });
  for (const path of ["/connections", "/integrations", "/environment-variables"]) {
    expect((await ask(api, path, key)).status).toBe(503);
  }
  expect((await ask(api, ACME, "junk")).status, "junk needs no look at the database").toBe(401);
  expect((await ask(api, ACME, generateToken("secret-key").reveal())).status, "a key cannot be judged").toBe(503);
  expect((await ask(api, "/livez")).status).toBe(200);
  expect((await ask(api, "/readyz")).status, "an outage is forgiven for 60 s").toBe(200);

  api.wire.mend();
  await eventually(async () => expect((await ask(api, ACME, key)).status).toBe(200));
});

test("when the database goes silent reads are 503 long before a statement ends, and are served again without a restart", async () => {
  await using started = await startWithAcme();
  const { api, key } = started;
  expect((await ask(api, ACME, key)).status).toBe(200);
  api.wire.goDead();
  const statement = api.vault.database.query("select 1").then(
    () => [],
    () => [],
  );
  // More than two batches, so that some wait for their turn; and one of each other kind.
  const paths = [...Array.from({ length: 200 }, () => ACME), "/connections", "/integrations", "/environment-variables"];
  const reads = Promise.all(paths.map((path) => ask(api, path, key)));
  const answers = await Promise.race<Response[]>([reads, statement]);
  expect(answers.map(({ status }) => status)).toEqual(paths.map(() => 503));
  expect(answers[0]?.headers.get("retry-after")).toBe("1");
  expect(await answers[0]?.json()).toMatchObject({ error: { code: "database_timeout" } });

  api.wire.mend();
  await eventually(async () => expect((await ask(api, ACME, key)).status).toBe(200));
  const [given] = await query(
    api.database.ownerUrl,
    "select sum(occurrences)::int as reads from keystead.audit_events where action = 'connection.credentials-read'",
  );
  expect(given, "nothing that was refused is asked later").toEqual({ reads: 2 });
  await statement;
});

test("a thousand refused reads of an outage write no line above debug", async () => {
  await using started = await startWithAcme();
  const { api, key } = started;
  api.wire.sever();
  await Promise.all(Array.from({ length: 1_000 }, () => ask(api, ACME, key)));
  // The watch on the database may say that it is away, once.
  const ofRequests = api
    .logged()
    .split("\n")
    .filter((line) => line.includes('"requestId"'));
  expect(ofRequests.filter((line) => !line.includes('"level":"debug"'))).toEqual([]);
});

test("a request in flight is answered when the process ends, and its connection is closed", async () => {
  await using started = await startWithAcme();
  const { api, key } = started;
  const client = new Client({ connectionString: api.database.ownerUrl });
  await client.connect();
  await client.query("begin; lock table keystead.connections in access exclusive mode");
  const inFlight = ask(api, ACME, key);
  await eventually(async () => {
    const { rowCount } = await client.query(
      "select 1 from pg_locks where not granted and database = (select oid from pg_database where datname = current_database())",
    );
    expect(rowCount).toBeGreaterThan(0);
  });

  const closed = api.close();
  await eventually(() => expect(ask(api, "/livez")).rejects.toThrow());
  await client.query("rollback");
  await client.end();
  const answer = await inFlight;
  expect(answer.status).toBe(200);
  expect(answer.headers.get("connection")).toBe("close");
  await closed;
});

test("a request that never ends does not keep the process from ending", async () => {
  const cutOff = new AbortController();
  const api = await startTestApi({}, { cutOff: cutOff.signal });
  const environment = await createEnvironment(api);
  const client = new Client({ connectionString: api.database.ownerUrl });
  await client.connect();
  await client.query("begin; lock table keystead.key_digests in access exclusive mode");
  const inFlight = ask(api, ACME, environment.key).then(
    () => "answered",
    () => "cut off",
  );
  await eventually(async () => {
    const { rowCount } = await client.query("select 1 from pg_locks where not granted");
    expect(rowCount).toBeGreaterThan(0);
  });
  const closed = api.close();
  cutOff.abort();
  await closed;
  expect(await inFlight).toBe("cut off");
  await client.query("rollback");
  await client.end();
  await api[Symbol.asyncDispose]();
});
