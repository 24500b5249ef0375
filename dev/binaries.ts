import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { KeysteadError } from "../src/errors.ts";
import { buildWithGo, goBuildKey } from "./go-build.ts";

/** Of the Kubernetes modules in dev/control-plane/kubernetes/go.mod. */
export const KUBERNETES_VERSION = "v1.36.3";

/** A folder that holds the programs of a control plane. */
export interface ControlPlaneBinaries {
  readonly directory: string;
  /** False for archives made for envtest: they come without kube-controller-manager. */
  readonly controllerManager: boolean;
}

const NEEDED = ["etcd", "kube-apiserver", "kubectl"];

/**
 * Finds or makes the programs of the local control plane. Everything that is made is kept in the cache under a name that
 * stands for its content, so a folder in the cache is never changed and a changed build never meets an old one.
 */
export async function findBinaries(progress: (line: string) => void): Promise<ControlPlaneBinaries> {
  const assets = process.env["KUBEBUILDER_ASSETS"];
  if (assets) return checked(assets);

  const built = join(cacheDirectory(), `go-${goBuildKey()}`);
  if (!complete(built)) await buildWithGo(built, KUBERNETES_VERSION, progress);
  return checked(built);
}

/** Where the programs are kept: `XDG_CACHE_HOME` or `~/.cache`, by version. */
export function cacheDirectory(): string {
  return join(
    process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache"),
    "keystead",
    "control-plane",
    KUBERNETES_VERSION,
  );
}

function complete(directory: string): boolean {
  return NEEDED.every((program) => existsSync(join(directory, program)));
}

function checked(directory: string): ControlPlaneBinaries {
  const missing = NEEDED.filter((program) => !existsSync(join(directory, program)));
  if (missing.length > 0) {
    throw new KeysteadError(
      "part_failed",
      `${directory} lacks ${missing.join(", ")}. Unset KUBEBUILDER_ASSETS to let Keystead find the programs itself.`,
    );
  }
  return { directory, controllerManager: existsSync(join(directory, "kube-controller-manager")) };
}
