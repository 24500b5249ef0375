import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { KeysteadError } from "../../src/errors.ts";
import { downloadControllerManager } from "./controller-manager-download.ts";
import { downloadEnvtest } from "./envtest-archive.ts";
import { buildWithGo, goBuildKey, hasGo } from "./go-build.ts";
import { tryLock } from "../processes/lock-file.ts";
import type { Lock } from "../processes/lock-file.ts";

/** Of the Kubernetes modules in dev/control-plane/kubernetes/go.mod. */
export const KUBERNETES_VERSION = "v1.36.3";

/** A folder that holds the programs of a control plane. */
export interface ControlPlaneBinaries {
  readonly directory: string;
  /** False where an envtest archive, which comes without kube-controller-manager, is all that could be had. */
  readonly controllerManager: boolean;
}

/** Told what takes long, a line at a time, at least every ten seconds. */
export type Progress = (line: string) => void;

const NEEDED = ["etcd", "kube-apiserver", "kubectl"];

/**
 * Finds or makes the programs of the local control plane: `KUBEBUILDER_ASSETS`, the cache, the official envtest archive with
 * the kube-controller-manager of the same release, a build with Go. `KEYSTEAD_DEV_BINARIES=go` passes over the downloads. A
 * folder in the cache is named after its content and never changes; of two processes that need the same one, one makes it
 * and the other waits.
 */
export async function findBinaries(progress: Progress, signal?: AbortSignal): Promise<ControlPlaneBinaries> {
  const assets = process.env["KUBEBUILDER_ASSETS"];
  if (assets) return fromAssets(assets);

  const cache = cacheDirectory();
  const cached = inCache(cache);
  if (cached) return cached;

  mkdirSync(cache, { recursive: true });
  const lock = await waitForLock(join(cache, "lock"), progress, signal);
  try {
    return inCache(cache) ?? (await make(cache, progress, signal));
  } finally {
    lock.release();
  }
}

/** Where the programs of this version are kept. */
function cacheDirectory(): string {
  const caches = process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache");
  return join(caches, "keystead", "control-plane", KUBERNETES_VERSION);
}

function fromAssets(directory: string): ControlPlaneBinaries {
  const missing = NEEDED.filter((program) => !existsSync(join(directory, program)));
  if (missing.length === 0) return describe(directory);
  const advice = "Correct the variable, or unset it to let Keystead find the programs itself.";
  throw new KeysteadError("part_failed", `KUBEBUILDER_ASSETS=${directory} lacks ${missing.join(", ")}. ${advice}`);
}

function inCache(cache: string): ControlPlaneBinaries | undefined {
  const built = join(cache, `go-${goBuildKey()}`);
  if (existsSync(built)) return describe(built);
  if (onlyGo() || !existsSync(cache)) return undefined;
  const archive = readdirSync(cache).find((name) => name.startsWith("envtest-"));
  return archive === undefined ? undefined : describe(join(cache, archive));
}

async function make(cache: string, progress: Progress, signal?: AbortSignal): Promise<ControlPlaneBinaries> {
  // What a process that was killed left behind; the lock says that nobody else writes here now.
  const unfinished = join(cache, "unfinished");
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(unfinished);

  const problem = onlyGo() ? "KEYSTEAD_DEV_BINARIES=go" : await download(unfinished, cache, progress);
  if (typeof problem !== "string") return problem;
  if (!(await hasGo())) throw nothingWorks(problem);
  progress(`${problem}: building the control plane with Go instead. That takes about five minutes, once.`);
  await buildWithGo(unfinished, KUBERNETES_VERSION, progress, signal);
  return keep(unfinished, join(cache, `go-${goBuildKey()}`));
}

/** The programs, or why the archive could not be had: a machine without internet access is no error as long as it has Go. */
async function download(unfinished: string, cache: string, progress: Progress): Promise<ControlPlaneBinaries | string> {
  try {
    const release = await downloadEnvtest(unfinished, KUBERNETES_VERSION, progress);
    await addControllerManager(unfinished, release, progress);
    return keep(unfinished, join(cache, `envtest-${release}`));
  } catch (error) {
    return error instanceof KeysteadError ? error.message : `No envtest archive (${String(error)})`;
  }
}

/** Most of Keystead works without it, so that it cannot be had is said and is no reason to build everything. */
async function addControllerManager(unfinished: string, release: string, progress: Progress): Promise<void> {
  try {
    await downloadControllerManager(unfinished, release, progress);
  } catch (error) {
    if (!(error instanceof KeysteadError)) throw error;
    progress(`${error.message}: going on without kube-controller-manager`);
  }
}

function keep(unfinished: string, directory: string): ControlPlaneBinaries {
  renameSync(unfinished, directory);
  return describe(directory);
}

function describe(directory: string): ControlPlaneBinaries {
  return { directory, controllerManager: existsSync(join(directory, "kube-controller-manager")) };
}

function onlyGo(): boolean {
  return process.env["KEYSTEAD_DEV_BINARIES"] === "go";
}

function nothingWorks(problem: string): KeysteadError {
  return new KeysteadError(
    "part_failed",
    [
      `There are no programs for the local control plane. ${problem}, and there is no Go on the PATH to build them with.`,
      "Do one of these and start again:",
      "  - install Go 1.26 or newer (https://go.dev/doc/install);",
      "  - set KUBEBUILDER_ASSETS to a folder with etcd, kube-apiserver and kubectl (`setup-envtest use -p path` prints one);",
      "  - use a cluster you have: npm start -- --context NAME",
    ].join("\n"),
  );
}

/** Waits as long as the other process lives and works: a build takes minutes, and a dead owner's lock is taken over. */
async function waitForLock(path: string, progress: Progress, signal?: AbortSignal): Promise<Lock> {
  for (let waitedMs = 0; ; waitedMs += 200) {
    const attempt = tryLock(path);
    if ("lock" in attempt) return attempt.lock;
    if (waitedMs % 10_000 === 0) progress(`waiting for process ${attempt.heldBy}, which prepares the control plane`);
    await delay(200, undefined, signal && { signal });
  }
}
