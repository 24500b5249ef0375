import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryDirectory } from "../../test/support/temporary-directory.ts";
import { createChildProcesses } from "./child-processes.ts";
import { identify } from "./process-identity.ts";

const NODE = process.execPath;

test("children end phase by phase, the highest first", async () => {
  using folder = temporaryDirectory();
  const children = createChildProcesses(folder.path);
  const order: string[] = [];
  for (const [name, stopPhase] of [
    ["database", 0],
    ["server", 1],
    ["client", 2],
  ] as const) {
    const child = children.start({ name, command: "sleep", args: ["600"], stopPhase });
    void child.ended.then(() => order.push(name));
  }
  await children[Symbol.asyncDispose]();
  expect(order).toEqual(["client", "server", "database"]);
  expect(readFileSync(join(folder.path, "processes.json"), "utf8")).toBe("[]");
});

test("a child that ignores its signal is killed", { timeout: 20_000 }, async () => {
  using folder = temporaryDirectory();
  await using children = createChildProcesses(folder.path);
  const { promise: listening, resolve } = Promise.withResolvers<string>();
  const deaf = ["-e", "process.on('SIGTERM', () => {}); console.log('listening'); setInterval(() => {}, 1e6)"];
  const child = children.start({ name: "deaf", command: NODE, args: deaf, onLine: resolve });
  await listening;
  await child.stop();
  await expect(child.ended).resolves.toEqual({ exitCode: null, signal: "SIGKILL", wanted: true });
  expect(identify(child.pid)).toBeUndefined();
});

test("a child that ends by itself tells its exit code, and its log holds its last words", async () => {
  using folder = temporaryDirectory();
  await using children = createChildProcesses(folder.path);
  const start = (text: string) =>
    children.start({ name: "part", command: NODE, args: ["-e", `console.error("${text}"); process.exit(3)`] });
  await expect(start("first").ended).resolves.toEqual({ exitCode: 3, signal: null, wanted: false });
  await start("second").ended;
  expect(readFileSync(join(folder.path, "logs", "part.log"), "utf8")).toBe("second\n");
  expect(readFileSync(join(folder.path, "logs", "part.previous.log"), "utf8")).toBe("first\n");
});

test("a program that does not exist is named", async () => {
  using folder = temporaryDirectory();
  await using children = createChildProcesses(folder.path);
  const start = () => children.start({ name: "etcd", command: "/nowhere/etcd", args: [] });
  expect(start).toThrow(
    expect.objectContaining({ code: "part_failed", message: expect.stringContaining("/nowhere/etcd") }),
  );
});

test("nothing is started any more once everything is being ended", async () => {
  using folder = temporaryDirectory();
  const children = createChildProcesses(folder.path);
  await children[Symbol.asyncDispose]();
  expect(() => children.start({ name: "late", command: "sleep", args: ["600"] })).toThrow(
    expect.objectContaining({ code: "part_failed" }),
  );
});
