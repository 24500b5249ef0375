import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { Client } from "pg";
import { afterAll, expect, inject, test } from "vitest";
import { z } from "zod";
import { readText } from "../dev/state-file.ts";
import { eventually } from "./support/eventually.ts";
import { makeDataFolder, npmStart, ownPort, stillRunning } from "./support/npm-start.ts";
import type { DataFolder } from "./support/npm-start.ts";
import { createEmptyDatabase, createNamespace } from "./support/servers.ts";
import type { TestDatabase, TestNamespace } from "./support/servers.ts";

/** `npm start` promises ten seconds; the rest is for a machine that runs every other test at the same time. */
const STOP_DEADLINE_MS = 20_000;

/** Two starts of everything, on a busy machine. */
const TIMEOUT_MS = 180_000;

async function kubectl(data: DataFolder, args: readonly string[]): Promise<string> {
  const program = `${inject("controlPlane").binaries}/kubectl`;
  const env = { ...process.env, KUBECACHEDIR: `${data.path}/kubectl-cache`, KUBECONFIG: `${data.path}/kubeconfig` };
  return (await promisify(execFile)(program, [...args], { env })).stdout;
}

/** What an application sees: the credential, read with the key that Kubernetes delivered. */
async function readCredential(data: DataFolder, port: string): Promise<unknown> {
  const secret = ["-n", "keystead-demo", "get", "secret", "production-keystead"];
  const key = await kubectl(data, [...secret, "-o", "jsonpath={.data.KEYSTEAD_SECRET_KEY}"]);
  const headers = { authorization: `Bearer ${Buffer.from(key, "base64").toString()}` };
  const answer = await fetch(`http://127.0.0.1:${port}/connections/acme?provider_config_key=stripe`, { headers });
  return z.object({ credentials: z.unknown() }).parse(await answer.json()).credentials;
}

/** For machines without curl: the same call by Node. */
const CURL = `command -v curl > /dev/null || curl() {
  node -e 'const [header, url] = process.argv.slice(-2);
    fetch(url, { headers: [header.split(": ")] }).then((answer) => answer.text()).then((text) => process.stdout.write(text))' -- "$@"
}`;

/** The commands of README's "See it work", at this folder and port. Resolves with what they print. */
async function runReadme(data: DataFolder, port: string): Promise<string> {
  const readme = readFileSync(join(import.meta.dirname, "..", "README.md"), "utf8");
  const block = /<!-- try:.*-->\n```sh\n([^]*?)```/.exec(readme)?.[1] ?? "exit 1";
  const here = block.replaceAll("$PWD/.keystead", data.path).replaceAll("localhost:3003", `127.0.0.1:${port}`);
  // A person waits a second; a machine that runs every other test meanwhile may need longer.
  const patient = here.replace("sleep 1", "for _ in $(seq 100); do read_it | grep -q second && break; sleep 0.2; done");
  const PATH = `${inject("controlPlane").binaries}:${process.env["PATH"]}`;
  return (
    await promisify(execFile)("bash", ["-euc", `${CURL}\n${patient}`], {
      env: { ...process.env, PATH, KUBECACHEDIR: `${data.path}/cache` },
    })
  ).stdout;
}

async function sealedCredentials(data: DataFolder): Promise<Buffer[]> {
  const client = new Client({ connectionString: data.file("database-url").trim() });
  await client.connect();
  try {
    const found = await client.query<{ sealed: Buffer }>(
      "select credentials_sealed as sealed from keystead.connections",
    );
    return found.rows.map((row) => row.sealed);
  } finally {
    await client.end();
  }
}

/** What the promise resolves with, or "late". */
async function within<T>(deadlineMs: number, promise: Promise<T>): Promise<T | "late"> {
  const timer = new AbortController();
  const late = delay(deadlineMs, "late" as const, { signal: timer.signal }).catch(() => "late" as const);
  const first = await Promise.race([promise, late]);
  timer.abort();
  return first;
}

/** What the first start makes, the later ones find. */
const kept = makeDataFolder();
const apiPort = await ownPort();
const startArgs = ["--data-dir", kept.path, "--api-port", apiPort];
afterAll(() => kept[Symbol.dispose]());

test(
  "one command gives a cluster whose credentials are sealed in Postgres and served over HTTP",
  { timeout: TIMEOUT_MS },
  async () => {
    await using first = npmStart(startArgs);
    await first.ready();
    for (const name of ["kubeconfig", "database-url", "encryption-key"]) expect(kept.mode(name), name).toBe("600");
    expect(kept.file("database-url")).toContain("postgres://keystead_owner:");
    await expect(readCredential(kept, apiPort)).resolves.toEqual({ type: "API_KEY", apiKey: "not-a-real-api-key" });
    const sealed = await sealedCredentials(kept);
    expect(sealed.length).toBeGreaterThan(0);
    for (const bytes of sealed) expect(bytes.includes("not-a-real")).toBe(false);

    // The controller is who the chart makes it: what it needs, and nothing that it does not.
    const controller = ["auth", "can-i", "--kubeconfig", `${kept.path}/controller.kubeconfig`, "--all-namespaces"];
    await expect(kubectl(kept, [...controller, "watch", "connections.keystead.dev"])).resolves.toBe("yes\n");
    await expect(kubectl(kept, [...controller, "list", "pods"])).rejects.toThrow("can-i");

    const answers = (await runReadme(kept, apiPort)).split("\n").filter((line) => line.startsWith("{"));
    expect(answers).toEqual([
      expect.stringContaining('"apiKey":"the-first-value"'),
      '{"type":"API_KEY","apiKey":"the-first-value"}',
      expect.stringContaining('"apiKey":"the-second-value"'),
      expect.stringContaining('"code":"not_found"'),
    ]);

    const second = npmStart([...startArgs.slice(0, 2), "--api-port", await ownPort()]);
    await expect(second.ended).resolves.toBe(1);
    expect(second.output()).toMatch(
      /is in use by process \d+\. Stop it first, or choose another folder with --data-dir\./,
    );

    await kubectl(kept, [
      "-n",
      "keystead-demo",
      "patch",
      "secret",
      "stripe-acme",
      "-p",
      '{"stringData":{"api-key":"edited"}}',
    ]);
    await eventually(async () =>
      expect(await readCredential(kept, apiPort)).toEqual({ type: "API_KEY", apiKey: "edited" }),
    );

    const processes = kept.processes();
    first.signal("SIGTERM");
    await expect(within(STOP_DEADLINE_MS, first.ended)).resolves.toBe(0);
    expect(stillRunning(processes)).toEqual([]);
    // What both took is said to who ran it, and held to no limit here, where every other test runs at the same time.
    expect(first.output()).toMatch(/^the control plane is up after \d+\.\d s$/m);
    expect(first.output()).toMatch(/^Started in \d+\.\d s\./m);
    expect(first.output()).toMatch(/^Keystead has stopped\. That took \d+\.\d s\.$/m);
    expect(namesOf(processes)).toEqual([
      "api",
      "controller",
      "etcd",
      "kube-apiserver",
      // The official archive has none.
      ...(inject("controlPlane").controllerManager ? ["kube-controller-manager"] : []),
      "postgres",
    ]);
  },
);

test(
  "another start finds everything as it was, also after a SIGKILL of all that can be killed at once, whose leftovers it ends",
  { timeout: TIMEOUT_MS },
  async () => {
    const kubeconfig = kept.file("kubeconfig");
    await using killed = npmStart(startArgs);
    await killed.ready();
    await expect(readCredential(kept, apiPort)).resolves.toEqual({ type: "API_KEY", apiKey: "edited" });
    expect(kept.file("kubeconfig")).toBe(kubeconfig);
    const leftovers = kept.processes();
    // Without its guardian nobody ends the servers, which are in sessions of their own.
    const guardian = leftovers[0] && guardianBeside(leftovers[0].pid);
    if (guardian) process.kill(guardian, "SIGKILL");
    killed.killGroup();
    await killed.ended;
    expect(stillRunning(leftovers)).toContain("etcd");

    await using next = npmStart(startArgs);
    await next.ready();
    expect(next.output()).toContain("Ended what an earlier start left running: ");
    expect(stillRunning(leftovers)).toEqual([]);
    await expect(readCredential(kept, apiPort)).resolves.toEqual({ type: "API_KEY", apiKey: "edited" });

    next.signal("SIGINT");
    await expect(within(STOP_DEADLINE_MS, next.ended)).resolves.toBe(0);
  },
);

/** The guardian is a child of the same process as that child. Read from /proc, because not every machine has ps. */
function guardianBeside(child: number): number | undefined {
  const parent = parentOf(child);
  const pids = readdirSync("/proc")
    .map(Number)
    .filter((pid) => pid > 0 && parentOf(pid) === parent);
  return pids.find((pid) => readText(`/proc/${pid}/cmdline`)?.includes("keystead-guardian"));
}

function parentOf(pid: number): string | undefined {
  return / \(.*\) . (\d+) /s.exec(readText(`/proc/${pid}/stat`) ?? "")?.[1];
}

test("a taken port is one sentence that says what to do, before anything is started", async () => {
  using data = makeDataFolder();
  await using other = createServer();
  const port = await ownPort();
  await new Promise<void>((resolve) => other.listen(Number(port), "127.0.0.1", resolve));
  await using refused = npmStart(["--data-dir", data.path, "--api-port", port]);
  await expect(refused.ended).resolves.toBe(1);
  expect(refused.output()).toContain(
    `Port ${port} is in use by another program: stop that program, or choose another for the API with --api-port N.`,
  );
  expect(data.processes()).toEqual([]);
});

/** Arguments and variables for a start on the run's own cluster and a new database, as somebody has who brings both. */
async function broughtAlong(data: DataFolder, database: TestDatabase, namespace: TestNamespace) {
  const args = ["--data-dir", data.path, "--context", "keystead", "--no-examples", "--api-port", await ownPort()];
  const env = {
    KUBECONFIG: inject("controlPlane").kubeconfig,
    DATABASE_URL: database.ownerUrl,
    // Other tests share this cluster, so this controller keeps to its own namespace.
    KEYSTEAD_WATCH_NAMESPACES: namespace.name,
    KEYSTEAD_LEADER_ELECTION: "false",
  };
  return { args, env };
}

const namesOf = (processes: readonly { name: string }[]): string[] => processes.map(({ name }) => name).toSorted();

test(
  "a cluster and a database of the user's own are used, with his settings, and neither is started or stopped",
  { timeout: TIMEOUT_MS },
  async () => {
    using data = makeDataFolder();
    await using database = await createEmptyDatabase();
    const namespace = await createNamespace("start");
    const { args, env } = await broughtAlong(data, database, namespace);

    await using first = npmStart(args, env);
    await first.ready();
    expect(namesOf(data.processes())).toEqual(["api", "controller"]);
    expect(data.file("database-url").trim()).toBe(database.ownerUrl);
    first.signal("SIGTERM");
    await expect(first.ended).resolves.toBe(0);

    // Another key than the one that the database was made with: the controller refuses, and its message is shown.
    await using wrongKey = npmStart(args, { ...env, KEYSTEAD_ENCRYPTION_KEY: randomBytes(32).toString("base64") });
    await expect(wrongKey.ended).resolves.toBe(1);
    expect(wrongKey.output()).toContain("encryption_key_unknown");
    expect(data.processes()).toEqual([]);
  },
);

test(
  "when a part dies everything ends and the exit code says so; when npm start is killed its guardian ends the parts",
  { timeout: TIMEOUT_MS },
  async () => {
    using data = makeDataFolder();
    await using database = await createEmptyDatabase();
    const namespace = await createNamespace("start");
    const { args, env } = await broughtAlong(data, database, namespace);

    await using started = npmStart(args, env);
    await started.ready();
    const processes = data.processes();
    const api = processes.find((process) => process.name === "api");
    if (api) process.kill(api.pid, "SIGKILL");
    await expect(within(STOP_DEADLINE_MS, started.ended)).resolves.toBe(1);
    expect(started.output()).toContain("api ended. It said:");
    expect(stillRunning(processes)).toEqual([]);

    await using killed = npmStart(args, env);
    await killed.ready();
    const orphans = data.processes();
    killed.killGroup();
    await killed.ended;
    await eventually(() => expect(stillRunning(orphans)).toEqual([]));
  },
);

test("a setting that the parts would refuse is refused before any server starts", async () => {
  using data = makeDataFolder();
  const settings = { KEYSTEAD_ENCRYPTION_KEY: "too-short", KEYSTEAD_CONCURRENCY: "many" };
  await using refused = npmStart(["--data-dir", data.path, "--api-port", await ownPort()], settings);
  await expect(refused.ended).resolves.toBe(1);
  expect(refused.output()).toContain("KEYSTEAD_ENCRYPTION_KEY: ");
  expect(refused.output()).toContain("KEYSTEAD_CONCURRENCY: ");
  expect(refused.output()).not.toContain("too-short");
  expect(refused.output()).not.toContain("starting Postgres");
  expect(data.processes()).toEqual([]);
});

test("an option that does not exist is refused with the list of those that do", async () => {
  await using refused = npmStart(["--datadir", "x"]);
  await expect(refused.ended).resolves.toBe(1);
  expect(refused.output()).toContain("--data-dir DIR");
});
