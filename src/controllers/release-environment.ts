import type { Environment } from "../resources/environment.ts";
import { ENVIRONMENT } from "../resources/kinds.ts";
import { CHILDREN_BATCH } from "../vault/soft-delete-children.ts";
import { softDeleteEnvironment } from "../vault/soft-delete-environment.ts";
import type { CallOptions, ControllerDeps } from "./deps.ts";
import type { Outcome } from "./outcome.ts";
import { deleteSecretsOf } from "./owned-secrets.ts";
import { release } from "./release.ts";

/** Ends the keys of an Environment and everything in it, takes the Secrets that were written for it away, and lets it go. */
export function releaseEnvironment(
  deps: ControllerDeps,
  environment: Omit<Environment, "spec">,
  calls: CallOptions,
): Promise<Outcome> {
  return release(
    deps,
    environment,
    {
      kind: ENVIRONMENT,
      rows: "environment",
      softDelete: (vault, uid, actor) =>
        softDeleteEnvironment(vault, uid, actor, CHILDREN_BATCH, environment.metadata.deletionTimestamp),
      cleanUp: () => deleteSecretsOf(deps.client, environment.metadata, () => Promise.resolve(false), calls),
    },
    calls,
  );
}
