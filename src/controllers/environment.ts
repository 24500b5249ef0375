import { asKeysteadError, hasCode } from "../errors.ts";
import { type Environment, parseEnvironment } from "../resources/environment.ts";
import { ENVIRONMENT } from "../resources/kinds.ts";
import { environmentDigestsOf, isSettledEnvironment } from "../vault/environment.ts";
import { restoreEnvironment } from "../vault/restore-environment.ts";
import { storeEnvironment } from "../vault/store-environment.ts";
import { type Settled, takeOver, unlessSuperseded } from "./adopt.ts";
import { findWithKeys } from "./api-keys.ts";
import { claim } from "./claim.ts";
import { decide } from "./decide.ts";
import { type CallOptions, type ControllerDeps, ownerOf } from "./deps.ts";
import { desiredEnvironment } from "./desired-environment.ts";
import { gone, type Outcome, outcomeOfError } from "./outcome.ts";
import { publishEnvironment } from "./publish-environment.ts";
import { releaseEnvironment } from "./release-environment.ts";
import { reviveRow } from "./revive.ts";
import { noticeOfNewKey, rotationTokensOf } from "./rotation.ts";
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
  const own = await takeBack(deps, declared, calls).catch(refusalOf);
  return own.kind === "own" ? storeOwn(deps, own, calls) : publishRefused(deps, declared, own, calls);
}

/** The Environment with all that it asks to have back or to take over, and what is stored for it then; or why not. */
async function takeBack(deps: ControllerDeps, declared: Environment, calls: CallOptions): Promise<Settled | Outcome> {
  const revived = await reviveRow(deps.client, declared, revivalOf(deps, declared), calls);
  if (revived.kind !== "revived") return revived;
  return takeOver(deps, revived.resource, revived.state, calls);
}

/** A refusal is an ending like others. That another one has taken the environment over is told with its name. */
function refusalOf(thrown: unknown): Outcome {
  const outcome = outcomeOfError(asKeysteadError(thrown));
  if (outcome.kind === "retry" || hasCode(thrown, "environment_superseded")) throw thrown;
  return outcome;
}

/** Whatever it asks for beside, what it has already is handed out as ever, with keys that are as it declares them. */
async function publishRefused(
  deps: ControllerDeps,
  environment: Environment,
  refusal: Outcome,
  calls: CallOptions,
): Promise<Outcome> {
  if (refusal.kind === "gone") return refusal;
  const stored = await findWithKeys(deps, environment);
  return stored ? publishEnvironment(deps, environment, { stored, heldUp: refusal }, calls) : refusal;
}

async function storeOwn(deps: ControllerDeps, own: Settled, calls: CallOptions): Promise<Outcome> {
  const { resource: environment, state } = own;
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
  if (decision.kind === "keep") return await publishEnvironment(deps, environment, { stored: decision.state }, calls);
  // Variables that cannot be read hold up the row, and nothing that is asked of its keys.
  if (decision.kind !== "write")
    return state ? await publishEnvironment(deps, environment, { stored: state, heldUp: decision }, calls) : decision;

  if (!(await claim(deps.client, ENVIRONMENT, environment, calls))) return gone();
  const stored = await storeEnvironment(deps.vault, decision.row);
  return await publishEnvironment(deps, environment, { stored, isNew: !state }, calls);
}

function revivalOf(deps: ControllerDeps, declared: Environment) {
  const owner = ownerOf(deps, declared.metadata);
  const tokens = rotationTokensOf(declared);
  return {
    kind: ENVIRONMENT,
    find: (resource: Environment) => findWithKeys(deps, resource),
    restore: (id: string) => restoreEnvironment(deps.vault, { id, owner, ...tokens }),
    // An environment comes back for the one resource that asked for it.
    claimRow: () => Promise.resolve(),
  };
}
