import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { importOf, runScript } from "../../test/support/script.ts";
import { temporaryDirectory } from "../../test/support/temporary-directory.ts";
import { tryLock } from "./lock-file.ts";

const TRY_LOCK = importOf("tryLock", "dev/processes/lock-file.ts");

function holder(path: string): string {
  return `${TRY_LOCK} const attempt = tryLock(${JSON.stringify(path)}); console.log("lock" in attempt ? "mine" : attempt.heldBy);`;
}

test("while one process holds the lock another hears who that is", async () => {
  using folder = temporaryDirectory();
  const path = join(folder.path, "lock");
  await using owner = runScript(`${holder(path)} setInterval(() => {}, 1e6);`);
  await expect(owner.firstLine).resolves.toBe("mine");
  expect(tryLock(path)).toEqual({ heldBy: owner.pid });
});

test("a released lock can be taken again, and releasing twice does not take it from the next owner", () => {
  using folder = temporaryDirectory();
  const path = join(folder.path, "lock");
  const first = tryLock(path);
  if ("lock" in first) first.lock.release();
  expect(existsSync(path)).toBe(false);
  writeFileSync(path, '{"pid":1,"startedAt":"somebody else"}');
  if ("lock" in first) first.lock.release();
  expect(existsSync(path)).toBe(true);
});

test("the lock of a process that was killed is free", async () => {
  using folder = temporaryDirectory();
  const path = join(folder.path, "lock");
  const owner = runScript(`${holder(path)} setInterval(() => {}, 1e6);`);
  await owner.firstLine;
  await owner[Symbol.asyncDispose]();
  expect(existsSync(path)).toBe(true);
  expect(tryLock(path)).toHaveProperty("lock");
});

test("a lock file that nobody can read protects nobody", () => {
  using folder = temporaryDirectory();
  const path = join(folder.path, "lock");
  writeFileSync(path, "{half");
  expect(tryLock(path)).toHaveProperty("lock");
});

test("of many processes that find the same dead owner at once, exactly one gets the lock", async () => {
  using folder = temporaryDirectory();
  const path = join(folder.path, "lock");
  // Start-up takes each of them a different time: they wait for the same instant, then try a hundred dead locks one after the other.
  const startAt = Date.now() + 1_000;
  const contender = `${TRY_LOCK}
    import { writeFileSync, existsSync } from "node:fs";
    while (Date.now() < ${startAt});
    let won = 0;
    for (let round = 0; round < 100; round++) {
      const path = ${JSON.stringify(path)} + round;
      try { writeFileSync(path, '{"pid":1,"startedAt":"an earlier boot"}', { flag: "wx" }); } catch {}
      if ("lock" in tryLock(path)) won++;
    }
    console.log(won);
    process.stdin.resume();`;
  const contenders = Array.from({ length: 4 }, () => runScript(contender));
  try {
    // All stay alive until the last has tried, so nobody's lock becomes a dead one.
    const wins = await Promise.all(contenders.map((script) => script.firstLine));
    expect(wins.map(Number).reduce((sum, won) => sum + won, 0)).toBe(100);
  } finally {
    await Promise.all(contenders.map((script) => script[Symbol.asyncDispose]()));
  }
});
