import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { stringify } from "yaml";
import { importOf, runScript } from "../../test/support/script.ts";
import { temporaryDirectory } from "../../test/support/temporary-directory.ts";

const FIND = `${importOf("findBinaries", "dev/control-plane/binaries.ts")}
  try { console.log(JSON.stringify(await findBinaries((line) => console.log("# " + line)))); }
  catch (error) { console.log(error.code + ": " + error.message); }`;

/** Nothing but what is put there: neither Go nor tar of the machine. */
const EMPTY_PATH = { PATH: "/nonexistent" };

/** Nothing listens there. */
const NOWHERE = "http://127.0.0.1:1/index";

const platform = `${process.platform}-${process.arch === "x64" ? "amd64" : process.arch}`;

/** Finds the programs as a process of its own would that has this cache and this PATH. */
function find(cache: string, env: NodeJS.ProcessEnv) {
  const here = { KUBEBUILDER_ASSETS: "", KEYSTEAD_DEV_BINARIES: "", KEYSTEAD_KUBERNETES_RELEASES_URL: NOWHERE };
  return runScript(FIND, { ...here, XDG_CACHE_HOME: cache, ...env });
}

async function lastLine(cache: string, env: NodeJS.ProcessEnv): Promise<string | undefined> {
  await using script = find(cache, env);
  return (await script.output).trimEnd().split("\n").at(-1);
}

function writePrograms(folder: string, names: readonly string[]): void {
  mkdirSync(folder, { recursive: true });
  for (const name of names) writeFileSync(join(folder, name), "#!/bin/sh\n", { mode: 0o755 });
}

/** Where the Kubernetes project has the program that the archive lacks. */
const MANAGER = `/release/v1.36.2/bin/linux/${platform.split("-")[1]}/kube-controller-manager`;

/** A server with an index and an archive like those of the project that publishes envtest's, and with what is beside it. */
async function envtestServer(folder: string, change: { hash?: string; beside?: Record<string, string> } = {}) {
  writePrograms(join(folder, "controller-tools", "envtest"), ["etcd", "kube-apiserver", "kubectl"]);
  await promisify(execFile)("tar", ["-czf", join(folder, "archive"), "-C", folder, "controller-tools"]);
  const archive = readFileSync(join(folder, "archive"));
  let downloads = 0;
  const server = createServer((asked, answer) => {
    if (asked.url === "/archive") downloads++;
    const beside = change.beside?.[asked.url ?? ""];
    if (asked.url === "/archive") answer.end(archive);
    else if (asked.url === "/index") answer.end(index());
    else answer.writeHead(beside === undefined ? 404 : 200).end(beside);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const entry = (hash: string) => ({ [`envtest-RELEASE-${platform}.tar.gz`]: { hash, selfLink: `${origin}/archive` } });
  const named = (release: string, hash: string) =>
    JSON.parse(JSON.stringify(entry(hash)).replace("RELEASE", release)) as object;
  const right = change.hash ?? createHash("sha512").update(archive).digest("hex");
  const wrong = "0".repeat(128);
  const index = () =>
    stringify({
      releases: {
        "v1.35.9": named("v1.35.9", wrong),
        "v1.36.0": named("v1.36.0", wrong),
        "v1.36.2": named("v1.36.2", right),
        "v1.36.3-rc.1": named("v1.36.3-rc.1", wrong),
        "v1.37.0": named("v1.37.0", wrong),
      },
    });
  return {
    env: { KEYSTEAD_ENVTEST_INDEX_URL: `${origin}/index`, KEYSTEAD_KUBERNETES_RELEASES_URL: `${origin}/release` },
    downloads: () => downloads,
    [Symbol.asyncDispose]: async () => void server.close(),
  };
}

/** A Go that writes down each build and makes a file after a while, in place of five minutes of the real one. */
function writeGo(folder: string, log: string): void {
  mkdirSync(folder, { recursive: true });
  const go = join(folder, "go");
  const script = `#!/bin/sh
    [ "$1" = build ] || exit 0
    echo "$PWD" >> ${log}
    while [ "$1" != -o ]; do shift; done
    /bin/sleep 0.3
    echo built > "$2"`;
  writeFileSync(go, script);
  chmodSync(go, 0o755);
}

test("KUBEBUILDER_ASSETS comes before everything", async () => {
  using folder = temporaryDirectory();
  writePrograms(folder.path, ["etcd", "kube-apiserver", "kubectl"]);
  const found = await lastLine("/nonexistent", { ...EMPTY_PATH, KUBEBUILDER_ASSETS: folder.path });
  expect(JSON.parse(found ?? "")).toEqual({ directory: folder.path, controllerManager: false });
});

test("KUBEBUILDER_ASSETS without a program is refused by the program's name, not passed over", async () => {
  using folder = temporaryDirectory();
  writePrograms(folder.path, ["etcd", "kubectl"]);
  const found = await lastLine("/nonexistent", { ...EMPTY_PATH, KUBEBUILDER_ASSETS: folder.path });
  expect(found).toContain(`part_failed: KUBEBUILDER_ASSETS=${folder.path} lacks kube-apiserver.`);
});

test("the newest archive of the same minor version is downloaded once, checked, and kept", async () => {
  using folder = temporaryDirectory();
  await using server = await envtestServer(folder.path);
  const cache = join(folder.path, "cache");
  const directory = join(cache, "keystead", "control-plane", "v1.36.3", "envtest-v1.36.2");
  for (const round of ["downloaded", "from the cache"]) {
    const found = await lastLine(cache, server.env);
    expect(JSON.parse(found ?? ""), round).toEqual({ directory, controllerManager: false });
  }
  expect(server.downloads()).toBe(1);
  expect(readdirSync(directory).toSorted()).toEqual(["etcd", "kube-apiserver", "kubectl"]);
});

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

test.runIf(process.platform === "linux")(
  "kube-controller-manager, which the archive lacks, is downloaded beside it and checked",
  async () => {
    using folder = temporaryDirectory();
    const beside = { [MANAGER]: "#!/bin/sh\n", [`${MANAGER}.sha256`]: `${sha256("#!/bin/sh\n")}\n` };
    await using server = await envtestServer(folder.path, { beside });
    const found = await lastLine(join(folder.path, "cache"), server.env);
    const { directory, ...rest } = JSON.parse(found ?? "") as { directory: string };
    expect(rest).toEqual({ controllerManager: true });
    await expect(promisify(execFile)(join(directory, "kube-controller-manager"))).resolves.toMatchObject({
      stdout: "",
    });
  },
);

test.runIf(process.platform === "linux").each([
  ["cannot be had", {}, /kube-controller-manager\.sha256 answers 404: going on without kube-controller-manager/],
  [
    "is not what was promised",
    { [MANAGER]: "another", [`${MANAGER}.sha256`]: sha256("program") },
    /is not what its SHA-256 promises: going on without kube-controller-manager/,
  ],
])("when kube-controller-manager %s, that is said and the others are used", async (_, beside, line) => {
  using folder = temporaryDirectory();
  await using server = await envtestServer(folder.path, { beside });
  await using script = find(join(folder.path, "cache"), server.env);
  const output = await script.output;
  expect(output).toMatch(line);
  expect(output).toContain('"controllerManager":false');
});

test("an archive that is not what the index promises is never used", async () => {
  using folder = temporaryDirectory();
  await using server = await envtestServer(folder.path, { hash: "1".repeat(128) });
  const cache = join(folder.path, "cache");
  await using script = find(cache, { ...EMPTY_PATH, ...server.env });
  const output = await script.output;
  expect(output).toContain("is not what its index promises");
  expect(output).toContain("install Go 1.26 or newer");
  expect(readdirSync(join(cache, "keystead", "control-plane", "v1.36.3"))).toEqual(["unfinished"]);
});

test("without internet access and without Go, what to install is said", async () => {
  using folder = temporaryDirectory();
  const env = { ...EMPTY_PATH, KEYSTEAD_ENVTEST_INDEX_URL: NOWHERE };
  await using script = find(folder.path, env);
  const output = await script.output;
  expect(output).toContain(
    "part_failed: There are no programs for the local control plane. 127.0.0.1:1 cannot be reached, and",
  );
  for (const way of ["install Go", "KUBEBUILDER_ASSETS", "--context NAME"]) expect(output).toContain(way);
});

test("two processes at once share one build, and a third finds it in the cache", { timeout: 30_000 }, async () => {
  using folder = temporaryDirectory();
  const log = join(folder.path, "builds");
  writeGo(join(folder.path, "bin"), log);
  const cache = join(folder.path, "cache");
  const env = { PATH: `${join(folder.path, "bin")}:/nonexistent`, KEYSTEAD_DEV_BINARIES: "go" };
  const [one, other] = await Promise.all([lastLine(cache, env), lastLine(cache, env)]);
  const third = await lastLine(cache, env);
  expect(one).toContain('"controllerManager":true');
  expect([other, third]).toEqual([one, one]);
  // etcd and Kubernetes, each once.
  expect(readFileSync(log, "utf8").trim().split("\n")).toHaveLength(2);
});

test("a build that was killed is begun again, and its half is thrown away", { timeout: 30_000 }, async () => {
  using folder = temporaryDirectory();
  const log = join(folder.path, "builds");
  writeGo(join(folder.path, "bin"), log);
  const cache = join(folder.path, "cache");
  const env = { PATH: `${join(folder.path, "bin")}:/nonexistent`, KEYSTEAD_DEV_BINARIES: "go" };
  const killed = find(cache, env);
  // The first line says that the build of etcd begins.
  await killed.firstLine;
  await killed[Symbol.asyncDispose]();
  const version = join(cache, "keystead", "control-plane", "v1.36.3");
  expect(existsSync(join(version, "lock"))).toBe(true);
  expect(await lastLine(cache, env)).toContain('"controllerManager":true');
  expect(readdirSync(version).filter((name) => !name.startsWith("go-"))).toEqual([]);
});
