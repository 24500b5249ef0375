import { objectKey } from "../kube/object.ts";
import { scopesOf } from "../resources/api-keys.ts";
import type { Environment } from "../resources/environment.ts";
import type { EnvironmentState } from "../vault/environment.ts";
import { type AllowedServiceAccount, sameServiceAccounts, serviceAccountDigest } from "../vault/service-account.ts";
import { storeServiceAccounts } from "../vault/store-service-accounts.ts";
import { type CallOptions, type ControllerDeps, ownerOf } from "./deps.ts";
import { type Outcome, waiting } from "./outcome.ts";

/**
 * Lets in the ServiceAccounts that an Environment lists and that are alive, and nobody else. One that does not exist yet is
 * let in when it appears, and one that is deleted is out with the next pass, which its deletion starts.
 *
 * @returns what the Environment waits for, if one of them does not exist
 */
export async function keepServiceAccounts(
  deps: ControllerDeps,
  environment: Environment,
  state: EnvironmentState,
  calls: CallOptions,
): Promise<Outcome | undefined> {
  const accounts = livingAccounts(deps, environment);
  if (accounts.length > 0) await deps.issuerKeys.known(calls.signal);
  if (!sameServiceAccounts(state.serviceAccounts, accounts)) {
    const owner = ownerOf(deps, environment.metadata);
    await storeServiceAccounts(deps.vault, { environmentId: state.id, owner, accounts });
  }
  return missingAccounts(environment, accounts);
}

function missingAccounts({ spec }: Environment, living: readonly AllowedServiceAccount[]): Outcome | undefined {
  const names = new Set(living.map(({ name }) => name));
  const missing = (spec.serviceAccounts ?? []).map(({ name }) => name).filter((name) => !names.has(name));
  if (missing.length === 0) return undefined;
  const [subject, verb] = missing.length === 1 ? ["ServiceAccount", "does"] : ["ServiceAccounts", "do"];
  return waiting(
    "ServiceAccountNotFound",
    `${subject} ${missing.join(" and ")} ${verb} not exist in this namespace. Create what is missing or take it out of spec.serviceAccounts; everything else of the Environment works.`,
  );
}

function livingAccounts(deps: ControllerDeps, { metadata, spec }: Environment): AllowedServiceAccount[] {
  const { namespace, name: environment } = metadata;
  return (spec.serviceAccounts ?? []).flatMap(({ name, scopes, connectionSelector }) => {
    const uid = deps.serviceAccounts.uidOf(objectKey(namespace, name));
    if (uid === undefined) return [];
    const digest = serviceAccountDigest({ cluster: deps.cluster, namespace, environment, name, uid });
    return [{ name, uid, digest: digest.toString("hex"), scopes: scopesOf(scopes), connectionSelector }];
  });
}
