import { type Environment, parseEnvironment } from "../resources/environment.ts";
import { ENVIRONMENT } from "../resources/kinds.ts";
import { environmentDigestsOf, isSettledEnvironment } from "../vault/environment.ts";
import { restoreEnvironment } from "../vault/restore-environment.ts";
import { storeEnvironment } from "../vault/store-environment.ts";
import { takeOver, unlessSuperseded } from "./adopt.ts";
import { refuseSharedSecret } from "./api-keys.ts";
import { claim } from "./claim.ts";
import { decide } from "./decide.ts";
import { type CallOptions, type ControllerDeps, ownerOf } from "./deps.ts";
import { desiredEnvironment } from "./desired-environment.ts";
import { gone, type Outcome } from "./outcome.ts";
import { publishEnvironment } from "./publish-environment.ts";
import { releaseEnvironment } from "./release-environment.ts";
import { reviveRow } from "./revive.ts";
import { keepKeysCurrent, noticeOfNewKey, rotationTokenOf } from "./rotation.ts";
import type { Reconciler } from "./runner.ts";

/** The reconciler of Environments, for `followKind`. */
export function environmentReconciler(deps: ControllerDeps): Reconciler<Environment> {
  return {
    kind: ENVIRONMENT,
    parse: parseEnvironment,
    get: deps.environments.get,
    reconcile: (resource, calls) => unlessSuperseded(deps, resource, () => reconcileEnvironment(deps, resource, calls)),
    release: (resource, calls) => releaseEnvironment(deps, resource, calls),
    noticeOfChange: noticeOfNewKey,
  };
}

/**
 * One pass over an Environment: its row with keys and variables first, then the Secret that hands out the key, the
 * status last. A crash in between is repaired by the next pass, since the Secret is always written from the database.
 */
async function reconcileEnvironment(deps: ControllerDeps, declared: Environment, calls: CallOptions): Promise<Outcome> {
  const shared = refuseSharedSecret(declared);
  if (shared) return shared;
  const revived = await reviveRow(deps.client, declared, revivalOf(deps, declared), calls);
  if (revived.kind !== "revived") return revived;
  const own = await takeOver(deps, revived.resource, revived.state, calls);
  if (own.kind !== "own") return own;
  const { resource: environment } = own;
  const state = await keepKeysCurrent(deps, environment, own.state);
  const decision = await decide(
    deps.secrets,
    environment,
    {
      state,
      row: (take, sources) => desiredEnvironment(deps, environment, state, take, sources),
      digestsOf: (row) => environmentDigestsOf(deps.vault, state?.id ?? "", row),
      isSettled: isSettledEnvironment,
    },
    calls,
  );
  if (decision.kind === "keep") return await publishEnvironment(deps, environment, decision.state, calls);
  if (decision.kind !== "write") return decision;

  if (!(await claim(deps.client, ENVIRONMENT, environment, calls))) return gone();
  return await publishEnvironment(deps, environment, await storeEnvironment(deps.vault, decision.row), calls);
}

function revivalOf(deps: ControllerDeps, declared: Environment) {
  const owner = ownerOf(deps, declared.metadata);
  const rotationToken = rotationTokenOf(declared);
  return {
    kind: ENVIRONMENT,
    find: (resource: Environment) => deps.rows.environment(resource),
    restore: (id: string) => restoreEnvironment(deps.vault, { id, owner, rotationToken }),
    // An environment comes back for the one resource that asked for it.
    claimRow: () => Promise.resolve(),
  };
}
