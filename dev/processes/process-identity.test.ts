import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";
import { eventually } from "../../test/support/eventually.ts";
import { identify, isRunning, signalProcess } from "./process-identity.ts";

test("a process is found again by its identity until it ends", async () => {
  const child = spawn("sleep", ["60"]);
  const identity = identify(child.pid ?? 0);
  expect(identity && isRunning(identity)).toBe(true);
  child.kill("SIGKILL");
  await once(child, "exit");
  expect(identity && isRunning(identity)).toBe(false);
});

test("another process with the same pid is a stranger, and is not signalled", () => {
  const earlier = { pid: process.pid, startedAt: "another boot/1" };
  expect(isRunning(earlier)).toBe(false);
  // Would end this very test.
  signalProcess(earlier, "SIGKILL");
});

test("two processes of the same pid number at different times have different identities", () => {
  expect(identify(process.pid)).not.toEqual(identify(process.ppid));
  expect(identify(process.pid)).toEqual(identify(process.pid));
});

test("a zombie has ended: nobody could end it again", async () => {
  // The shell is replaced by a program that never waits for its child, so the child stays a zombie.
  const parent = spawn("sh", ["-c", "sleep 0 & echo $!; exec sleep 60"], { stdio: ["ignore", "pipe", "ignore"] });
  try {
    const [line] = await once(parent.stdout, "data");
    await eventually(() => expect(identify(Number(String(line)))).toBeUndefined());
  } finally {
    parent.kill("SIGKILL");
  }
});

test("a name with spaces and parentheses does not shift the fields", async () => {
  const child = spawn(process.execPath, [
    "-e",
    "process.title = 'a) (b c'; console.log(1); setInterval(() => {}, 1e6)",
  ]);
  try {
    await once(child.stdout, "data");
    const identity = identify(child.pid ?? 0);
    expect(identity?.startedAt).toMatch(/\/\d+$/);
  } finally {
    child.kill("SIGKILL");
  }
});
