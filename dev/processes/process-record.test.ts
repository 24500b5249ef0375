import { spawn } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryDirectory } from "../../test/support/temporary-directory.ts";
import { identify } from "./process-identity.ts";
import { endLeftovers, writeRecord } from "./process-record.ts";

function recorded(name: string, pid: number | undefined) {
  const identity = identify(pid ?? 0);
  return { name, pid: identity?.pid ?? 0, startedAt: identity?.startedAt ?? "", stopSignal: "SIGTERM" as const };
}

test(
  "what an earlier owner left running is ended, by force where it does not listen, and the record goes",
  { timeout: 30_000 },
  async () => {
    using folder = temporaryDirectory();
    const polite = spawn("sleep", ["600"]);
    const deaf = spawn(process.execPath, [
      "-e",
      "process.on('SIGTERM', () => {}); console.log(1); setInterval(() => {}, 1e6)",
    ]);
    await new Promise((resolve) => deaf.stdout.once("data", resolve));
    writeRecord(folder.path, [recorded("polite", polite.pid), recorded("deaf", deaf.pid)]);
    await expect(endLeftovers(folder.path)).resolves.toEqual(["polite", "deaf"]);
    expect([identify(polite.pid ?? 0), identify(deaf.pid ?? 0)]).toEqual([undefined, undefined]);
    expect(existsSync(join(folder.path, "processes.json"))).toBe(false);
  },
);

test("a process that has got the pid of a recorded one by now is left alone", async () => {
  using folder = temporaryDirectory();
  const stranger = spawn("sleep", ["600"]);
  try {
    writeRecord(folder.path, [{ ...recorded("etcd", stranger.pid), startedAt: "an earlier boot/7" }]);
    await expect(endLeftovers(folder.path)).resolves.toEqual([]);
    expect(identify(stranger.pid ?? 0)).toBeDefined();
  } finally {
    stranger.kill("SIGKILL");
  }
});

test.each([
  ["no record", undefined],
  ["a record that was cut short", '[{"name":"etcd","pi'],
  ["a record of another form", '{"etcd":42}'],
  ["an unknown signal", '[{"name":"etcd","pid":1,"startedAt":"x","stopSignal":"SIGSTOP"}]'],
])("%s ends nobody and keeps nobody from starting", async (_, text) => {
  using folder = temporaryDirectory();
  if (text !== undefined) writeFileSync(join(folder.path, "processes.json"), text);
  await expect(endLeftovers(folder.path)).resolves.toEqual([]);
});
