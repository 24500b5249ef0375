import { expect, test } from "vitest";
import { watchDatabase } from "./database-watch.ts";
import { createDatabaseReadiness } from "./readiness.ts";

/** A database that is asked every millisecond and answers as told, with what was logged about it. */
function watched(readiness = createDatabaseReadiness()) {
  const state = { away: false, asked: 0, warnings: 0, notes: 0 };
  const watch = watchDatabase({
    async ping() {
      state.asked++;
      if (state.away) throw new Error("connect ECONNREFUSED");
    },
    readiness,
    log: { warn: () => state.warnings++, info: () => state.notes++ },
    intervalMs: 1,
  });
  /** Until two more questions were asked, the first of which may have begun before the call. */
  const askedAgain = async () => {
    const before = state.asked;
    await expect.poll(() => state.asked, { interval: 1 }).toBeGreaterThan(before + 1);
  };
  return { state, askedAgain, [Symbol.asyncDispose]: () => watch[Symbol.asyncDispose]() };
}

test("an outage is logged once when it begins and once when it ends", async () => {
  await using database = watched();
  await database.askedAgain();
  expect(database.state).toMatchObject({ warnings: 0, notes: 0 });
  database.state.away = true;
  await database.askedAgain();
  await database.askedAgain();
  expect(database.state).toMatchObject({ warnings: 1, notes: 0 });
  database.state.away = false;
  await database.askedAgain();
  await database.askedAgain();
  expect(database.state).toMatchObject({ warnings: 1, notes: 1 });
});

test("each answer renews the readiness", async () => {
  let second = 0;
  const readiness = createDatabaseReadiness(() => second * 1_000);
  readiness.proven();
  second = 90;
  expect(readiness.verdict().ok).toBe(false);
  await using database = watched(readiness);
  await database.askedAgain();
  expect(readiness.verdict()).toEqual({ ok: true });
});

test("nothing is asked after it was ended", async () => {
  const database = watched();
  await database.askedAgain();
  await database[Symbol.asyncDispose]();
  const { asked } = database.state;
  await new Promise((resolve) => setTimeout(resolve, 5));
  expect(database.state.asked).toBe(asked);
});
