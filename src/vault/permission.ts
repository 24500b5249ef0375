import { tokenFingerprint } from "../crypto/token.ts";
import type { Scope } from "../scopes.ts";
import type { CallingActor } from "./owner.ts";

/** What a key may not do, which the API answers with the scope that is missing. */
export interface Forbidden {
  readonly kind: "forbidden";
  readonly scope: Scope;
}

/** The result of a read that the key has no scope for. */
export function forbidden(scope: Scope): Forbidden {
  return { kind: "forbidden", scope };
}

/** SQL: whether a row of `key_digests` is the one of a digest (SHA-256 of a token) and has not ended. */
export function opens(key: string, digest: string): string {
  return `${key}.digest = ${digest} and (${key}.expires_at is null or ${key}.expires_at > now())`;
}

/** SQL: whether a row of `key_digests` has one of the scopes. Part of the statement that reads, so that an edit counts at once. */
export function permits(key: string, ...scopes: readonly Scope[]): string {
  return `(${key}.scopes is null or ${key}.scopes && '{${scopes.join(",")}}'::text[])`;
}

/**
 * SQL: the ServiceAccount that a row of `key_digests` stands for, as `namespace/name`, or null for a key. An account is of the
 * namespace of the Environment that lists it.
 */
export function accountOf(key: string, environment: string): string {
  return `${environment}.owner_namespace || '/' || ${key}.service_account`;
}

/** SQL: `actor_kind` and `actor` of an event, for what {@link accountOf} gave and the fingerprint of the digest. */
export function callingActor(account: string, fingerprint: string): string {
  return `case when ${account} is null then 'key' else 'service-account' end, coalesce(${account}, ${fingerprint})`;
}

/** The same for an event that is written by a statement of its own. */
export function callingActorOf(
  account: string | null,
  { keyDigest, address }: { readonly keyDigest: Buffer; readonly address?: string | undefined },
): CallingActor {
  return account === null
    ? { kind: "key", fingerprint: tokenFingerprint(keyDigest), address }
    : { kind: "service-account", account, address };
}

/** SQL: whether the keys of an environment may be used from an address, which is text or null: unknown is nowhere. */
export function admits(environment: string, address: string): string {
  return `(${environment}.allowed_cidrs is null or ${address}::inet <<= any(${environment}.allowed_cidrs))`;
}

/** SQL: whether a connection is one that the key was made for. What it was not made for does not exist to it. */
export function selects(key: string, connection: string): string {
  return `(${key}.connection_selector is null or ${connection}.tags @> ${key}.connection_selector)`;
}
