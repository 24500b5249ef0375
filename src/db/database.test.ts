import { inspect } from "node:util";
import { expect, test } from "vitest";
import { eventually } from "../../test/support/eventually.ts";
import { createDatabase } from "../../test/support/servers.ts";
import { startSeverableProxy } from "../../test/support/severable-proxy.ts";
import { Secret } from "../crypto/secret.ts";
import { KeysteadError } from "../errors.ts";
import { openDatabase, type Database, type DatabaseOptions } from "./database.ts";

test("a transaction keeps all of its work or none", async () => {
  await using context = await openTestDatabase();
  const { database } = context;
  await database.transaction(async (transaction) => {
    await insertKey(transaction, "kept");
  });
  const refused = database.transaction(async (transaction) => {
    await insertKey(transaction, "lost");
    throw new KeysteadError("row_changed", "the row changed");
  });
  await expect(refused).rejects.toMatchObject({ code: "row_changed" });
  expect(await keyIds(database)).toEqual(["kept"]);
});

test("an error that is not the database's comes out as it was thrown, and the connection goes on", async () => {
  await using context = await openTestDatabase({ poolSize: 1 });
  const { database } = context;
  const failure = new RangeError("a mistake in the program");
  const failing = database.transaction(() => {
    throw failure;
  });
  await expect(failing).rejects.toBe(failure);
  expect(await database.query("select 1 as one")).toEqual([{ one: 1 }]);
});

test("two transactions that lock each other out both finish: the one that Postgres ends runs again", async () => {
  await using context = await openTestDatabase();
  const { database } = context;
  await database.query("insert into keystead.key_encryption_keys (key_id, check_value) values ('a', ''), ('b', '')");
  const bothHoldOne = barrier(2);
  let runs = 0;
  const touch = (first: string, second: string) =>
    database.transaction(async (transaction) => {
      runs += 1;
      await transaction.query("update keystead.key_encryption_keys set configured_at = now() where key_id = $1", [
        first,
      ]);
      await bothHoldOne();
      await transaction.query("update keystead.key_encryption_keys set configured_at = now() where key_id = $1", [
        second,
      ]);
    });
  await Promise.all([touch("a", "b"), touch("b", "a")]);
  // More than once more, should the one that runs again be the first to get at the row that the other waits for.
  expect(runs).toBeGreaterThanOrEqual(3);
  const untouched = "select from keystead.key_encryption_keys where configured_at is null";
  expect(await database.query(untouched)).toEqual([]);
});

test.each([
  ["a text with U+0000", "select $1::text", ["\0"], "database_value_refused"],
  ["JSON with U+0000", "select $1::jsonb", ['{"a":"\\u0000"}'], "database_value_refused"],
  ["a number out of range", "select $1::int", ["99999999999"], "database_value_refused"],
  ["a table the role may not change", "delete from keystead.audit_events", [], "database_forbidden"],
  ["a mistake in a statement", "select from nowhere.at_all", [], "database_error"],
])("%s ends with an error of its own that keeps its cause", async (_, text, values, code) => {
  await using context = await openTestDatabase();
  const refused = context.database.query(text, values);
  await expect(refused).rejects.toMatchObject({ code });
  await expect(refused).rejects.toHaveProperty("cause", expect.any(Error));
});

test("a statement that takes too long is ended by the server, and the connection goes on", async () => {
  await using context = await openTestDatabase({ poolSize: 1, statementTimeoutMs: 100 });
  const { database } = context;
  await expect(database.query("select pg_sleep(60)")).rejects.toMatchObject({
    code: "database_timeout",
    details: { sqlState: "57014" },
  });
  expect(await database.query("select 1 as one")).toEqual([{ one: 1 }]);
});

test("a database that nobody can reach is a retryable error without the password in it", async () => {
  await using database = openDatabase({
    url: new Secret("postgres://keystead:canary-6e1f@127.0.0.1:1/keystead"),
    applicationName: "test",
  });
  for (const attempt of [database.ping(), database.read({ name: "one", text: "select 1" }, [])]) {
    const failure = await attempt.catch((thrown: unknown) => thrown);
    expect(failure).toMatchObject({ code: "database_unavailable", retryable: true });
    expect(inspect(failure, { depth: 10, showHidden: true })).not.toContain("canary");
  }
});

test("a login that is refused is told without the password too", async () => {
  await using context = await openTestDatabase();
  const url = new URL(context.url);
  url.username = "nobody";
  url.password = "canary-6e1f";
  await using database = openDatabase({ url: new Secret(url.href), applicationName: "test" });
  const failure = await database.ping().catch((thrown: unknown) => thrown);
  expect(failure).toMatchObject({ code: "database_unavailable" });
  expect(inspect(failure, { depth: 10, showHidden: true })).not.toContain("canary");
});

test("an instant is read to the millisecond, whatever year it is in", async () => {
  await using context = await openTestDatabase();
  const instants = [
    "2026-11-24 08:00:00.123456+00",
    "1970-01-01 00:00:00+00",
    "0044-03-15 12:00:00+00 BC",
    "12026-01-01 00:00:00+00",
  ];
  const rows = await context.database.query<{ instant: Date }>(
    "select text::timestamptz as instant from unnest($1::text[]) with ordinality as t (text, position) order by position",
    [instants],
  );
  expect(rows.map(({ instant }) => instant.getTime())).toEqual([
    Date.UTC(2026, 10, 24, 8, 0, 0, 123),
    0,
    Date.UTC(-43, 2, 15, 12),
    Date.UTC(12026, 0, 1),
  ]);
});

test("a count that a JavaScript number cannot hold is refused instead of being rounded", async () => {
  await using context = await openTestDatabase();
  expect(await context.database.query("select 9007199254740991::int8 as n")).toEqual([{ n: 9_007_199_254_740_991 }]);
  await expect(context.database.query("select 9007199254740993::int8 as n")).rejects.toMatchObject({
    code: "database_error",
  });
});

test.each(["", "keystead", "http://localhost/keystead", "postgres://[/keystead"])(
  "the URL %j is refused without being repeated",
  (text) => {
    const url = new Secret(text);
    expect(() => openDatabase({ url, applicationName: "test" })).toThrow(
      expect.objectContaining({ code: "configuration_invalid" }),
    );
  },
);

test("after an outage the next statement works again, and those during it fail as unavailable", async () => {
  await using context = await createDatabase();
  await using proxy = await startSeverableProxy(addressOf(context.url));
  await using database = openDatabase({ url: urlThrough(proxy, context.url), applicationName: "test", poolSize: 2 });
  const sleeping = database.query("select pg_sleep(60)");
  await database.ping();
  proxy.sever();
  await expect(sleeping).rejects.toMatchObject({ code: "database_unavailable" });
  await expect(database.ping()).rejects.toMatchObject({ code: "database_unavailable" });
  proxy.mend();
  await database.ping();
});

test("a link that went dead without a word is noticed by the client's own clock", async () => {
  await using context = await createDatabase();
  await using proxy = await startSeverableProxy(addressOf(context.url));
  await using database = openDatabase({
    url: urlThrough(proxy, context.url),
    applicationName: "test",
    statementTimeoutMs: 50,
    readLimitMs: 1_000,
  });
  const ONE = { name: "one", text: "select 1 as one" };
  await Promise.all([database.ping(), database.read(ONE, [])]);
  proxy.goSilent();
  await expect(database.ping()).rejects.toMatchObject({ code: "database_unavailable" });
  await expect(database.read(ONE, [])).rejects.toMatchObject({ code: "database_timeout" });
  await eventually(async () => expect(await database.read(ONE, [])).toEqual([{ one: 1 }]));
});

test("when it is cut off, statements on a dead link fail at once, none is begun, and closing ends", async () => {
  await using context = await createDatabase();
  await using proxy = await startSeverableProxy(addressOf(context.url));
  const cutOff = new AbortController();
  const url = urlThrough(proxy, context.url);
  const database = openDatabase({ url, applicationName: "test", cutOff: cutOff.signal });
  await database.ping();
  proxy.goDead();
  const inFlight = [database.ping(), database.read({ name: "one", text: "select 1" }, [])];
  const closed = database[Symbol.asyncDispose]();
  cutOff.abort();
  inFlight.push(database.read({ name: "one", text: "select 1" }, []));

  for (const outcome of await Promise.allSettled(inFlight)) {
    expect(outcome).toMatchObject({ status: "rejected", reason: { code: "database_unavailable" } });
  }
  await closed;
});

test("closing leaves no connection behind", async () => {
  await using context = await createDatabase();
  const applicationName = "keystead-closing-test";
  await using owner = openDatabase({ url: new Secret(context.ownerUrl), applicationName: "owner" });
  {
    await using database = openDatabase({ url: new Secret(context.url), applicationName });
    await Promise.all([database.ping(), database.ping(), database.read({ name: "one", text: "select 1" }, [])]);
  }
  await eventually(async () => {
    const rows = await owner.query("select from pg_stat_activity where application_name = $1", [applicationName]);
    expect(rows).toEqual([]);
  });
});

async function openTestDatabase(options: Partial<DatabaseOptions> = {}) {
  const { url, ...testDatabase } = await createDatabase();
  const database = openDatabase({ url: new Secret(url), applicationName: "keystead-test", poolSize: 4, ...options });
  return {
    database,
    url,
    async [Symbol.asyncDispose]() {
      await database[Symbol.asyncDispose]();
      await testDatabase[Symbol.asyncDispose]();
    },
  };
}

/** Resolves for everybody once `size` callers have come; later callers pass. */
function barrier(size: number): () => Promise<void> {
  const full = Promise.withResolvers<void>();
  let arrived = 0;
  return () => {
    arrived += 1;
    if (arrived >= size) full.resolve();
    return full.promise;
  };
}

async function insertKey(database: Pick<Database, "query">, keyId: string): Promise<void> {
  await database.query("insert into keystead.key_encryption_keys (key_id, check_value) values ($1, '')", [keyId]);
}

async function keyIds(database: Database): Promise<string[]> {
  const rows = await database.query<{ key_id: string }>("select key_id from keystead.key_encryption_keys order by 1");
  return rows.map((row) => row.key_id);
}

function addressOf(url: string): { host: string; port: number } {
  const { hostname, port } = new URL(url);
  return { host: hostname, port: Number(port) };
}

/** The same database and login, by way of the proxy. */
function urlThrough(proxy: { readonly port: number }, url: string): Secret {
  const through = new URL(url);
  through.host = `127.0.0.1:${proxy.port}`;
  return new Secret(through.href);
}
