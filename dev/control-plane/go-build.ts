import { execFile, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, readFileSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { KeysteadError } from "../../src/errors.ts";

/** The two Go modules beside this file. */
const MODULES = ["etcd", "kubernetes"];

/** The names by which the one Kubernetes program is called; it behaves as the one it is called by. */
const KUBERNETES_PROGRAMS = ["kube-apiserver", "kube-controller-manager", "kubectl"];

const PROGRESS_EVERY_MS = 10_000;

/** Stands for everything that decides what the build gives: our Go sources and the versions they resolve to. */
export function goBuildKey(): string {
  const hash = createHash("sha256");
  for (const module of MODULES) {
    const folder = join(import.meta.dirname, module);
    for (const file of readdirSync(folder).toSorted()) {
      hash.update(`${module}/${file}\0`).update(readFileSync(join(folder, file)));
    }
  }
  return hash.digest("hex").slice(0, 12);
}

/** Whether there is a Go on the PATH. An old one is good enough: it fetches the release that go.mod asks for. */
export async function hasGo(): Promise<boolean> {
  try {
    await promisify(execFile)("go", ["version"]);
    return true;
  } catch {
    // Not installed, or not working; the caller says what to install.
    return false;
  }
}

/**
 * Builds etcd and the Kubernetes programs into the folder. Five minutes on two cores with a cold Go cache, 20 s with a warm
 * one. Throws `part_failed` with the compiler's last lines.
 */
export async function buildWithGo(
  folder: string,
  version: string,
  progress: (line: string) => void,
  signal?: AbortSignal,
): Promise<void> {
  // Built from a copy: with -mod=mod, which these modules need, Go may write to go.mod, and a checkout must stay clean.
  const sources = join(folder, "sources");
  for (const module of MODULES) cpSync(join(import.meta.dirname, module), join(sources, module), { recursive: true });
  const [, major, minor] = /^v(\d+)\.(\d+)\./.exec(version) ?? [];
  const versionFlags = Object.entries({ gitVersion: version, gitMajor: major, gitMinor: minor })
    .map(([name, value]) => ` -X k8s.io/component-base/version.${name}=${value}`)
    .join("");
  await build(
    {
      name: "etcd",
      module: join(sources, "etcd"),
      out: join(folder, "etcd"),
      target: "go.etcd.io/etcd/server/v3",
      flags: "-s -w",
    },
    progress,
    signal,
  );
  await build(
    {
      name: "Kubernetes",
      module: join(sources, "kubernetes"),
      out: join(folder, "kubernetes"),
      target: ".",
      flags: `-s -w${versionFlags}`,
    },
    progress,
    signal,
  );
  for (const program of KUBERNETES_PROGRAMS) symlinkSync("kubernetes", join(folder, program));
  rmSync(sources, { recursive: true });
}

interface Build {
  readonly name: string;
  readonly module: string;
  readonly out: string;
  readonly target: string;
  readonly flags: string;
}

function build(options: Build, progress: (line: string) => void, signal?: AbortSignal): Promise<void> {
  const startedAt = Date.now();
  const said: string[] = [];
  // -v names each package as it is compiled: the only progress Go tells.
  const go = spawn("go", ["build", "-v", "-trimpath", "-ldflags", options.flags, "-o", options.out, options.target], {
    cwd: options.module,
    env: { ...process.env, CGO_ENABLED: "0", GOFLAGS: "-mod=mod", GOOS: "", GOARCH: "", GOWORK: "off" },
    stdio: ["ignore", "ignore", "pipe"],
    ...(signal ? { signal } : {}),
  });
  createInterface({ input: go.stderr }).on("line", (line) => said.push(line));
  const tell = (): void => progress(`building ${options.name}: ${said.length} packages, ${seconds(startedAt)} s`);
  const timer = setInterval(tell, PROGRESS_EVERY_MS);
  tell();
  return new Promise((resolve, reject) => {
    go.once("error", reject);
    go.once("close", (exitCode) => {
      clearInterval(timer);
      if (exitCode === 0) resolve();
      else
        reject(new KeysteadError("part_failed", `go build of ${options.name} failed:\n${said.slice(-20).join("\n")}`));
    });
  });
}

function seconds(since: number): number {
  return Math.round((Date.now() - since) / 1000);
}
