import { expect, test } from "vitest";
import { createDatabase } from "../../test/support/servers.ts";
import { Secret } from "../crypto/secret.ts";
import { openDatabase, type Database } from "./database.ts";

const DAY_MS = 86_400_000;

test("today and the next seven days have their partitions, and a second call makes none", async () => {
  await using context = await openBoth();
  const today = Date.now();
  const expected = Array.from({ length: 8 }, (_, n) => partitionOf(new Date(today + n * DAY_MS)));
  expect(await partitions(context.owner)).toEqual(expect.arrayContaining(expected));
  expect(await context.running.query("select keystead.prepare_audit_days() as made")).toEqual([{ made: 0 }]);
});

test("an event of a day that nobody made is kept, and is in its partition once somebody makes it", async () => {
  await using context = await openBoth();
  const day = new Date(Date.now() + 20 * DAY_MS);
  await insertEvent(context.running, day);
  expect(await context.owner.query("select actor from keystead.audit_events_default")).toEqual([{ actor: "test" }]);

  expect(await context.running.query("select keystead.prepare_audit_days() as made")).toEqual([{ made: 1 }]);
  expect(await context.owner.query("select actor from keystead.audit_events_default")).toEqual([]);
  expect(await context.owner.query(`select actor from keystead.${partitionOf(day)}`)).toEqual([{ actor: "test" }]);
  await insertEvent(context.running, day);
  expect(await context.running.query("select distinct actor from keystead.audit_events")).toEqual([{ actor: "test" }]);
});

test("events are inserted while a day is being made", async () => {
  await using context = await openBoth();
  await insertEvent(context.running, new Date(Date.now() + 20 * DAY_MS));
  await context.owner.transaction(async (transaction) => {
    await transaction.query("select keystead.prepare_audit_days()");
    await insertEvent(context.running, new Date());
  });
  expect(await context.running.query("select count(*) as events from keystead.audit_events")).toEqual([{ events: 2 }]);
});

test("a day is dropped for the running role only when it is older than the retention and a checkpoint speaks of it", async () => {
  await using context = await openBoth();
  const { running, owner } = context;
  const young = new Date(Date.now() - 400 * DAY_MS);
  const old = new Date(Date.now() - 401 * DAY_MS);
  await insertEvent(running, young);
  await insertEvent(running, old);
  await running.query("select keystead.prepare_audit_days()");

  await expect(drop(running, old)).rejects.toMatchObject({ code: "database_forbidden" });
  await checkpoint(running, old);
  await checkpoint(running, young);
  await expect(drop(running, young)).rejects.toMatchObject({ code: "database_forbidden" });
  await drop(running, old);
  expect(await partitions(owner)).not.toContain(partitionOf(old));
  expect(await running.query("select count(*) as events from keystead.audit_events")).toEqual([{ events: 1 }]);
});

interface Both extends AsyncDisposable {
  readonly owner: Database;
  readonly running: Database;
}

async function openBoth(): Promise<Both> {
  await using stack = new AsyncDisposableStack();
  const database = stack.use(await createDatabase());
  const open = (url: string) =>
    stack.use(openDatabase({ url: new Secret(url), applicationName: "keystead-test", poolSize: 2 }));
  const both = { owner: open(database.ownerUrl), running: open(database.url) };
  const moved = stack.move();
  return { ...both, [Symbol.asyncDispose]: () => moved.disposeAsync() };
}

async function insertEvent(database: Database, at: Date): Promise<void> {
  await database.query(
    `insert into keystead.audit_events (
       environment_id, occurred_at, actor_kind, actor, action, target_kind, target_id
     ) values (gen_random_uuid(), $1, 'system', 'test', 'connection.created', 'connection', gen_random_uuid())`,
    [at],
  );
}

async function checkpoint(database: Database, day: Date): Promise<void> {
  await database.query(
    "insert into keystead.audit_checkpoints (day, sequence, link_mac, audit_key_id, mac) values ($1, 0, '', gen_random_uuid(), '')",
    [dayOf(day)],
  );
}

async function drop(database: Database, day: Date): Promise<void> {
  await database.query("select keystead.drop_audit_day($1)", [dayOf(day)]);
}

async function partitions(database: Database): Promise<string[]> {
  const rows = await database.query<{ name: string }>(
    "select relname as name from pg_inherits join pg_class c on c.oid = inhrelid where inhparent = 'keystead.audit_events'::regclass",
  );
  return rows.map(({ name }) => name);
}

function partitionOf(day: Date): string {
  return `audit_events_${dayOf(day).replaceAll("-", "")}`;
}

function dayOf(instant: Date): string {
  return instant.toISOString().slice(0, 10);
}
