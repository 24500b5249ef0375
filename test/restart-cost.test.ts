import { expect, test } from "vitest";
import { query } from "./support/database.ts";
import { eventually } from "./support/eventually.ts";
import { createInstallation } from "./support/keystead.ts";
import { canary } from "./support/leaks.ts";
import { connection, environment, integration, secret } from "./support/resources.ts";

// What a restart over settled objects costs the database: a few queries for all of them, whichever kind they are.

const OBJECTS = 40;

/** Of a start: the schema, the proof of the key, what each kind is loaded with, and what the workers ask for each second. Half of one for each object. */
const STATEMENTS_OF_A_START = (3 * OBJECTS) / 2;

test("a controller that starts over settled objects of every kind asks the database for all of a kind at once", async () => {
  await using installation = await createInstallation("restart");
  const { objects, database } = installation;
  const parents = { environment: "e-0", integration: "i-0" };
  const credentials = { apiKey: { apiKeyRef: { name: "acme", key: "token" } } };
  const numbers = Array.from({ length: OBJECTS }, (_, index) => index);
  await objects.apply(
    secret("acme", { token: canary("token") }),
    ...numbers.map((n) => environment(`e-${n}`)),
    ...numbers.map((n) => integration(`i-${n}`, "e-0", { clientId: "id" })),
    ...numbers.map((n) => connection(`c-${n}`, parents, { credentials })),
  );
  const first = installation.start("controller");
  await objects.ready(
    ...numbers.flatMap((n) => [`environment/e-${n}`, `integration/i-${n}`, `connection/c-${n}`] as const),
  );
  await first.end();

  // Every query is a transaction of its own, counted when its session has ended.
  const before = await transactions(database.ownerUrl);
  const again = installation.start("controller");
  await again.logged("caught up with what was there at the start");
  await again.end();

  expect((await transactions(database.ownerUrl)) - before).toBeLessThan(STATEMENTS_OF_A_START);
});

/** Transactions in the database so far, once no session but this one is left in it. */
async function transactions(url: string): Promise<number> {
  return eventually(async () => {
    const [row] = await query<{ count: string; others: string }>(
      url,
      `select xact_commit as count,
              (select count(*) from pg_stat_activity where datname = d.datname and pid <> pg_backend_pid()) as others
         from pg_stat_database d where datname = current_database()`,
    );
    expect(Number(row?.others)).toBe(0);
    return Number(row?.count);
  });
}
