import { join } from "node:path";
import { z } from "zod";
import { KeysteadError } from "../src/errors.ts";
import type { Cluster } from "./cluster.ts";
import { CONTROLLER_ACCOUNT, CONTROLLER_NAMESPACE } from "./install.ts";
import { writeTokenKubeconfig } from "./control-plane/kubeconfig.ts";
import { parseState, writeText } from "./state-file.ts";

/** Short as in a pod: what leaks from a data folder that was copied somewhere is of no use the next day. */
const TOKEN_LIFETIME = "1h";

/** What a test sets to see a token grow old. */
export interface RenewalTiming {
  /** How often it is looked whether half of the token's life is over. A laptop that slept has a new one within this time. */
  readonly lookEveryMs: number;
  readonly now: () => number;
}

const TIMING: RenewalTiming = { lookEveryMs: 30_000, now: Date.now };

const tokenRequest = z.object({ status: z.object({ token: z.string(), expirationTimestamp: z.iso.datetime() }) });

/** What the controller runs as; its token is renewed until this is disposed. */
export interface ControllerIdentity extends Disposable {
  /** Path of a kubeconfig that names the token's file. */
  readonly kubeconfig: string;
}

/**
 * The identity that the chart's Deployment would have: the ServiceAccount and no more. `warn` hears of a renewal that failed
 * and is tried again; half of the old token's life is left for that.
 */
export async function createControllerIdentity(
  cluster: Pick<Cluster, "kubectl" | "kubeconfig">,
  directory: string,
  warn: (line: string) => void,
  timing = TIMING,
): Promise<ControllerIdentity> {
  const tokenFile = join(directory, "controller-token");
  let renewAt = await renew(cluster, tokenFile, timing.now());
  const look = async (): Promise<void> => {
    if (timing.now() < renewAt) return;
    // While this one is on its way the next look shall not ask as well.
    renewAt = Number.POSITIVE_INFINITY;
    try {
      renewAt = await renew(cluster, tokenFile, timing.now());
    } catch (error) {
      renewAt = 0;
      warn(`The controller's token could not be renewed yet: ${String(error)}`);
    }
  };
  const timer = setInterval(() => void look(), timing.lookEveryMs);
  const path = join(directory, "controller.kubeconfig");
  return {
    kubeconfig: writeTokenKubeconfig(path, cluster.kubeconfig, tokenFile, CONTROLLER_NAMESPACE),
    [Symbol.dispose]: () => clearInterval(timer),
  };
}

/** Resolves with the instant at which half of the new token's life is over. */
async function renew(cluster: Pick<Cluster, "kubectl">, tokenFile: string, askedAt: number): Promise<number> {
  const account = ["create", "token", CONTROLLER_ACCOUNT, "-n", CONTROLLER_NAMESPACE];
  const output = await cluster.kubectl([...account, "--duration", TOKEN_LIFETIME, "-o", "json"]);
  const answer = parseState(output, tokenRequest);
  if (!answer)
    throw new KeysteadError("part_failed", "The API server's answer to a token request has an unknown form.");
  writeText(tokenFile, answer.status.token);
  return (askedAt + Date.parse(answer.status.expirationTimestamp)) / 2;
}
