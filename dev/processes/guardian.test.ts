import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { eventually } from "../../test/support/eventually.ts";
import { importOf, runScript } from "../../test/support/script.ts";
import { temporaryDirectory } from "../../test/support/temporary-directory.ts";
import { identify, isRunning } from "./process-identity.ts";

/** A process with two children in sessions of their own, one of which does not care about SIGTERM. */
function parent(folder: string): string {
  return `${importOf("createChildProcesses", "dev/processes/child-processes.ts")}
    const children = createChildProcesses(${JSON.stringify(folder)}, true);
    const polite = children.start({ name: "polite", command: "sleep", args: ["600"] });
    const deaf = children.start({ name: "deaf", command: "sh", args: ["-c", "trap '' TERM; exec sleep 600"] });
    const stopped = children.start({ name: "stopped", command: "sleep", args: ["600"] });
    await stopped.stop();
    console.log(JSON.stringify([polite.pid, deaf.pid]));
    setInterval(() => {}, 1e6);`;
}

test("children end and the scratch folder goes when their parent is killed", async () => {
  using folder = temporaryDirectory();
  const scratch = join(folder.path, "scratch");
  mkdirSync(scratch);
  await using script = runScript(parent(scratch));
  const pids = JSON.parse(await script.firstLine) as number[];
  const children = pids.map((pid) => identify(pid));
  writeFileSync(join(scratch, "left over"), "");
  script.process.kill("SIGKILL");
  await eventually(() => {
    expect(children.filter((child) => child && isRunning(child))).toEqual([]);
    expect(existsSync(scratch)).toBe(false);
  });
});
