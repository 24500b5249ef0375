import { expect, test } from "vitest";
import { eventually } from "../../test/support/eventually.ts";
import { createDatabase } from "../../test/support/servers.ts";
import { startSeverableProxy } from "../../test/support/severable-proxy.ts";
import { Secret } from "../crypto/secret.ts";
import { createConnectionSettings } from "./connection-settings.ts";
import { createPipelinedReader } from "./pipelined-reader.ts";
import { statement } from "./statement.ts";

const ECHO = statement("echo", "select $1::int as n, pg_backend_pid() as pid");
const DIVIDE = statement("divide", "select 1 / $1::int as n");

interface Echo {
  readonly n: number;
  readonly pid: number;
}

test("answers of a thousand reads at once reach those who asked, over two connections", async () => {
  await using context = await openReader();
  const numbers = Array.from({ length: 1_000 }, (_, index) => index);
  await context.bothOpen();
  const answers = await Promise.all(numbers.map((n) => context.reader.read<Echo>(ECHO, [n])));
  expect(answers.map(([row]) => row?.n)).toEqual(numbers);
  expect(new Set(answers.map(([row]) => row?.pid)).size).toBe(2);
  expect(context.proxy.accepted).toBe(2);
});

test("a read that fails does not spoil those before and behind it", async () => {
  await using context = await openReader();
  const divisors = [1, 0, 1, 1, 0, 1];
  const outcomes = await Promise.allSettled(divisors.map((n) => context.reader.read(DIVIDE, [n])));
  expect(outcomes.map(({ status }) => status)).toEqual(divisors.map((n) => (n === 0 ? "rejected" : "fulfilled")));
});

test("what is in flight when a connection breaks is asked again on a new one", async () => {
  await using context = await openReader();
  await context.reader.read(ECHO, [0]);
  const asked = Array.from({ length: 200 }, (_, n) => context.reader.read<Echo>(ECHO, [n]));
  context.proxy.sever();
  context.proxy.mend();
  const answers = await Promise.all(asked);
  expect(answers.map(([row]) => row?.n)).toEqual(Array.from({ length: 200 }, (_, n) => n));
});

test("while the database is away reads fail at once, without a connection attempt for each", async () => {
  await using context = await openReader({ now: () => 1_000_000 });
  context.proxy.sever();
  for (let read = 0; read < 100; read += 1) {
    await expect(context.reader.read(ECHO, [1])).rejects.toMatchObject({ code: "database_unavailable" });
  }
  // One for each of the two connections: the clock of this reader stands still, so no pause ever ends.
  expect(context.proxy.accepted).toBe(2);
});

test("when the database is back, reads work again as soon as the pause has ended", async () => {
  let now = 1_000_000;
  await using context = await openReader({ now: () => now });
  context.proxy.sever();
  await expect(context.reader.read(ECHO, [1])).rejects.toMatchObject({ code: "database_unavailable" });
  context.proxy.mend();
  now += 1_000;
  expect(await context.reader.read<Echo>(ECHO, [7])).toMatchObject([{ n: 7 }]);
});

test("a read that gets no answer fails at its limit, is asked no second time, and its connection is replaced", async () => {
  await using context = await openReader({ readLimitMs: 300 });
  await context.bothOpen();
  context.proxy.goSilent();
  const unanswered = await Promise.allSettled([context.reader.read(ECHO, [1]), context.reader.read(ECHO, [2])]);
  expect(unanswered).toMatchObject([
    { reason: { code: "database_timeout", retryable: true } },
    { reason: { code: "database_timeout" } },
  ]);
  expect(context.proxy.accepted, "each was sent once").toBe(2);
  expect(await context.reader.read<Echo>(ECHO, [3])).toMatchObject([{ n: 3 }]);
  await eventually(() => expect(context.proxy.accepted).toBe(4));
});

test("while one connection is stuck reads go by the other, until it is replaced", async () => {
  await using context = await openReader({ readLimitMs: 1_000 });
  await context.bothOpen();
  context.proxy.silenceLast();
  const two = [context.reader.read<Echo>(ECHO, [1]), context.reader.read<Echo>(ECHO, [1])];
  const ended = Promise.allSettled(two);
  await Promise.any(two);
  for (let read = 0; read < 20; read += 1) expect(await context.reader.read<Echo>(ECHO, [7])).toMatchObject([{ n: 7 }]);
  expect(context.proxy.accepted, "all while the other read waited").toBe(2);
  const outcomes = await ended;
  expect(outcomes.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
  await context.bothOpen();
  expect(context.proxy.accepted).toBe(3);
});

test("many reads at once keep away from a connection that is stuck", async () => {
  let time = 0;
  await using context = await openReader({ now: () => time });
  await context.bothOpen();
  context.proxy.silenceLast();
  const two = [context.reader.read<Echo>(ECHO, [1]), context.reader.read<Echo>(ECHO, [1])];
  const ended = Promise.allSettled(two);
  await Promise.any(two);

  time += 100;
  const many = await Promise.all(Array.from({ length: 100 }, (_, n) => context.reader.read<Echo>(ECHO, [n])));
  expect(many.flat().map(({ n }) => n)).toEqual(Array.from({ length: 100 }, (_, n) => n));
  expect(new Set(many.flat().map(({ pid }) => pid)).size).toBe(1);
  expect((await ended).map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
});

test("a slow read is ended by the server and delays nobody on the other connection", async () => {
  await using context = await openReader({ statementTimeoutMs: 200 });
  const slow = context.reader.read(statement("sleep", "select pg_sleep(60)"), []);
  const outcome = expect(slow).rejects.toMatchObject({ code: "database_timeout" });
  expect(await context.reader.read<Echo>(ECHO, [1])).toMatchObject([{ n: 1 }]);
  await outcome;
});

test("a name stands for one text only, in every process and version", () => {
  expect(statement("read", "select 1").name).toBe(statement("read", "select 1").name);
  expect(statement("read", "select 1").name).not.toBe(statement("read", "select 2").name);
});

test("without prepared statements the server keeps none", async () => {
  const PREPARED = statement("prepared", "select name from pg_prepared_statements");
  await using named = await openReader();
  expect(await named.reader.read(PREPARED, [])).toMatchObject([{ name: PREPARED.name }]);
  await using unnamed = await openReader({ preparedStatements: false });
  expect(await unnamed.reader.read(PREPARED, [])).toEqual([]);
});

interface ReaderOptions {
  readonly now?: () => number;
  readonly readLimitMs?: number;
  readonly statementTimeoutMs?: number;
  readonly preparedStatements?: boolean;
}

/** A reader whose way to the database can be cut. */
async function openReader({ now, statementTimeoutMs, readLimitMs, preparedStatements = true }: ReaderOptions = {}) {
  const database = await createDatabase();
  const url = new URL(database.url);
  const proxy = await startSeverableProxy({ host: url.hostname, port: Number(url.port) });
  url.host = `127.0.0.1:${proxy.port}`;
  const settings = createConnectionSettings({
    url: new Secret(url.href),
    applicationName: "keystead-test",
    ...(statementTimeoutMs !== undefined && { statementTimeoutMs }),
    ...(readLimitMs !== undefined && { readLimitMs }),
  });
  const reader = createPipelinedReader({ settings, preparedStatements, ...(now && { now }) });
  return {
    reader,
    proxy,
    /** Resolves once both connections answer. */
    bothOpen: () =>
      eventually(async () => {
        const answers = await Promise.all([reader.read<Echo>(ECHO, [0]), reader.read<Echo>(ECHO, [0])]);
        expect(new Set(answers.map(([row]) => row?.pid)).size).toBe(2);
      }),
    async [Symbol.asyncDispose]() {
      await reader[Symbol.asyncDispose]();
      await proxy[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    },
  };
}
