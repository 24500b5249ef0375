import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { expect, inject, test } from "vitest";
import { eventually } from "../../test/support/eventually.ts";
import { createNamespace } from "../../test/support/servers.ts";

const PROGRAM = new URL("../../test/support/campaigning-process.ts", import.meta.url).pathname;

interface Campaigner extends AsyncDisposable {
  readonly child: ChildProcess;
  /** What it said so far, line by line. */
  lines(): string[];
  readonly ended: Promise<number | null>;
}

/** Starts a process that campaigns for the lease `leader` of that namespace. */
function start(namespace: string, identity: string): Campaigner {
  const { kubeconfig } = inject("controlPlane");
  const child = spawn(process.execPath, [PROGRAM, kubeconfig, namespace, identity], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => {
    output += chunk.toString("utf8");
  });
  const ended = new Promise<number | null>((resolve) => child.on("exit", resolve));
  return {
    child,
    lines: () => output.split("\n").slice(0, -1),
    ended,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

function leads(one: Campaigner): boolean {
  return one.lines().at(-1)?.startsWith("leading") === true;
}

/** Which of two leads; fails while none or both do. */
function leaderOf(one: Campaigner, other: Campaigner): { leader: Campaigner; follower: Campaigner } {
  expect([leads(one), leads(other)].filter(Boolean)).toHaveLength(1);
  return leads(one) ? { leader: one, follower: other } : { leader: other, follower: one };
}

test("bad case 25: when the leader is killed, the other process takes over", async () => {
  const namespace = await createNamespace("processes");
  await using one = start(namespace.name, "one");
  await using other = start(namespace.name, "other");
  const { leader, follower } = await eventually(() => leaderOf(one, other));
  leader.child.kill("SIGKILL");
  await leader.ended;
  await eventually(() => expect(leads(follower)).toBe(true));
  expect([leader.lines(), follower.lines()]).toEqual([["leading"], ["leading"]]);
});

test("bad case 25: a leader that was frozen while another took over ends as soon as it wakes", async () => {
  const namespace = await createNamespace("processes");
  await using one = start(namespace.name, "one");
  await using other = start(namespace.name, "other");
  const { leader, follower } = await eventually(() => leaderOf(one, other));
  leader.child.kill("SIGSTOP");
  await eventually(() => expect(leads(follower)).toBe(true));
  leader.child.kill("SIGCONT");
  expect(await leader.ended).toBe(3);
  expect(leader.lines()).toEqual(["leading", "ended"]);
  expect(follower.lines()).toEqual(["leading"]);
});

test("a leader that is told to end gives way at once, and ends well", async () => {
  const namespace = await createNamespace("processes");
  await using one = start(namespace.name, "one");
  await using other = start(namespace.name, "other");
  const { leader, follower } = await eventually(() => leaderOf(one, other));
  leader.child.kill("SIGTERM");
  expect(await leader.ended).toBe(0);
  await eventually(() => expect(leads(follower)).toBe(true));
});
