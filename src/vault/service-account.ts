import { createHash } from "node:crypto";
import { isDeepStrictEqual } from "node:util";

/** A ServiceAccount as its token and an Environment name it together. */
export interface ServiceAccountIdentity {
  /** uid of the cluster's kube-system namespace. */
  readonly cluster: string;
  readonly namespace: string;
  /** Name of the Environment, in the same namespace. */
  readonly environment: string;
  readonly name: string;
  /** Another one of the same name is another account. */
  readonly uid: string;
}

/** A living ServiceAccount that an Environment lists. */
export interface AllowedServiceAccount {
  readonly name: string;
  readonly uid: string;
  /** Hexadecimal. */
  readonly digest: string;
  readonly scopes: readonly string[];
  /** Tags that a connection must have to exist for it; absent: every connection does. */
  readonly connectionSelector: Readonly<Record<string, string>> | undefined;
}

/**
 * What the account is looked up by, among the digests of keys. The first word keeps it apart from everything else that is
 * digested; no part can hold U+0000.
 */
export function serviceAccountDigest(identity: ServiceAccountIdentity): Buffer {
  const { cluster, namespace, environment, name, uid } = identity;
  const parts = ["keystead.service-account", cluster, namespace, environment, name, uid];
  return createHash("sha256").update(parts.join("\0")).digest();
}

/** Whether what is stored is all that is declared and alive. Pure. */
export function sameServiceAccounts(
  stored: readonly AllowedServiceAccount[],
  desired: readonly AllowedServiceAccount[],
): boolean {
  const byName = (list: readonly AllowedServiceAccount[]) => list.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  return isDeepStrictEqual(byName(stored), byName(desired));
}
