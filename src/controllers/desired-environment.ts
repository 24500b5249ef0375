import { Secret } from "../crypto/secret.ts";
import { parseDuration } from "../resources/duration.ts";
import type { Environment } from "../resources/environment.ts";
import { rotationSecondsOf } from "../resources/rotation.ts";
import type { DesiredEnvironment, EnvironmentState, EnvironmentVariable } from "../vault/environment.ts";
import type { SecretSource } from "../vault/owner.ts";
import { dataKeyTokenOf } from "./data-key-rotation.ts";
import { type ControllerDeps, ownerOf } from "./deps.ts";
import { rotationTokenOf } from "./rotation.ts";
import type { SecretTaker } from "./secret-value.ts";

/** What an Environment wants to be stored; without a taker the Secrets of its variables were not read. Pure. */
export function desiredEnvironment(
  deps: Pick<ControllerDeps, "cluster" | "release">,
  environment: Environment,
  state: EnvironmentState | undefined,
  take: SecretTaker | undefined,
  sources: readonly SecretSource[],
): DesiredEnvironment {
  const { metadata, spec } = environment;
  return {
    owner: ownerOf(deps, metadata),
    retentionSeconds: Math.ceil(parseDuration(spec.retention) / 1_000),
    rotationSeconds: rotationSecondsOf(spec.rotation),
    requestsPerMinute: spec.requestsPerMinute,
    allowedCidrs: spec.allowedCIDRs,
    variables: take ? variablesOf(environment, take) : "unchanged",
    declaration: { variables: spec.variables },
    sources,
    rotationToken: rotationTokenOf(environment),
    dataKeyRotationToken: dataKeyTokenOf(environment),
    expectedRevision: state?.revision ?? 0,
  };
}

function variablesOf(environment: Environment, take: SecretTaker): EnvironmentVariable[] {
  return (environment.spec.variables ?? []).map(({ name, value = "", valueFrom }) => ({
    name,
    value: new Secret(valueFrom ? take.value(valueFrom.secretKeyRef) : value),
  }));
}
