import type { JsonObject } from "../crypto/canonical-json.ts";
import { digestOf } from "../crypto/digest.ts";
import type { EnvironmentKeys } from "./environment-keys.ts";
import { sameSources, type Owner, type SecretSource } from "./owner.ts";

/** `type` of the stored credentials, in Nango's names. */
export type CredentialsType = "API_KEY" | "BASIC" | "OAUTH2" | "OAUTH2_CC" | "OAUTH1" | "APP" | "JWT" | "CUSTOM";

/** Credentials as they are stored and served, in Nango's shape, `type` included. */
export interface DesiredCredentials {
  readonly type: CredentialsType;
  readonly value: JsonObject;
  readonly expiresAt?: Date;
}

/** Whom a connection belongs to, in the application's own terms. */
export interface EndUser {
  readonly id: string;
  readonly email?: string | undefined;
  readonly displayName?: string | undefined;
  readonly tags?: Readonly<Record<string, string>> | undefined;
  readonly organization?: { readonly id: string; readonly displayName?: string | undefined } | undefined;
}

/** What a Connection resource wants to be stored. */
export interface DesiredConnection {
  readonly owner: Owner;
  readonly environmentId: string;
  /** uid of the Environment that it refers to: refused where another one has the environment. */
  readonly environmentUid: string;
  readonly integrationId: string;
  readonly connectionId: string;
  /** Revision the caller has seen, 0 for no row; any other in the database ends with `row_changed`. Absent: whatever is there. */
  readonly expectedRevision?: number;
  /** What was just read of the row, if it was: storing does not look it up again. */
  readonly known?: ConnectionState | undefined;
  /**
   * `"unchanged"`: the Secrets were not read, because their versions are those stored with the row. Absent: none are
   * declared, so none that a declaration stored stay; those from a browser authorization do.
   */
  readonly credentials?: DesiredCredentials | "unchanged" | undefined;
  /** What the resource says about credentials, without the secret values: `spec.credentials`. */
  readonly declaration: unknown;
  readonly config: JsonObject;
  /** Absent: metadata belongs to the API. */
  readonly metadata?: JsonObject | undefined;
  readonly tags: Readonly<Record<string, string>>;
  readonly endUser?: EndUser | undefined;
  readonly sources: readonly SecretSource[];
  /** `spec.restoreFrom`, which was done before: it is kept with a row that is made anew, so that it is not done again. */
  readonly handledRestore?: string | undefined;
}

/** Digests of a desired connection, part by part. */
export interface ConnectionDigests {
  readonly declaration: string;
  /** Null: none are declared. Undefined: they were not read, and are taken for those that are stored. */
  readonly credentials: string | null | undefined;
  readonly config: string;
  readonly rest: string;
}

/** What the database knows about the connection of a resource: enough to tell whether anything has to be done. */
export interface ConnectionState {
  /** Row id, a UUID: `status.connectionId`. */
  readonly id: string;
  readonly environmentId: string;
  readonly integrationId: string;
  readonly connectionId: string;
  readonly revision: number;
  readonly digests: ConnectionDigests & { readonly credentials: string | null };
  readonly sources: readonly SecretSource[];
  readonly credentialsType: string | undefined;
  readonly credentialsExpiresAt: Date | undefined;
  /** Whether the row is the resource's; a restored one is served before it is. */
  readonly claimed: boolean;
  /** `spec.restoreFrom` of the resource, if it was done. */
  readonly handledRestore: string | undefined;
}

/** A connection after it was stored; `changed` is false when there was nothing to write but perhaps the sources. */
export interface StoredConnection extends ConnectionState {
  readonly changed: boolean;
}

/** Digests under the environment's key. Rejects with `environment_gone`, `json_not_canonical` or a `database_*` error. */
export async function connectionDigestsOf(
  vault: { readonly environmentKeys: EnvironmentKeys },
  environmentId: string,
  desired: Pick<DesiredConnection, "credentials" | "declaration" | "config" | "metadata" | "tags" | "endUser">,
): Promise<ConnectionDigests> {
  const { digestKey } = await vault.environmentKeys.of(environmentId);
  return {
    declaration: digestOf(digestKey, "connection.declaration", desired.declaration ?? null),
    credentials: credentialsDigest(desired.credentials, (value) =>
      digestOf(digestKey, "connection.credentials", value),
    ),
    config: digestOf(digestKey, "connection.config", desired.config),
    rest: digestOf(digestKey, "connection.rest", {
      metadata: desired.metadata,
      tags: desired.tags,
      endUser: desired.endUser,
    }),
  };
}

/** Whether the row already says all that the resource wants, so that nothing needs to be written. Pure. */
export function isSettledConnection(
  state: ConnectionState,
  digests: ConnectionDigests,
  sources: readonly SecretSource[],
): boolean {
  return changedConnectionParts(state.digests, digests).length === 0 && sameSources(state.sources, sources);
}

/** Names of the parts that differ; they go into the audit event. Pure. */
export function changedConnectionParts(stored: ConnectionDigests, desired: ConnectionDigests): ConnectionPart[] {
  return CONNECTION_PARTS.filter((part) => desired[part] !== undefined && desired[part] !== stored[part]);
}

/** The parts of a connection that have a digest. */
export const CONNECTION_PARTS = ["declaration", "credentials", "config", "rest"] as const;
/** One of them. */
export type ConnectionPart = (typeof CONNECTION_PARTS)[number];

function credentialsDigest(
  credentials: DesiredConnection["credentials"],
  digest: (value: unknown) => string,
): ConnectionDigests["credentials"] {
  if (credentials === undefined) return null;
  if (credentials === "unchanged") return undefined;
  const { type, value, expiresAt } = credentials;
  return digest({ type, value, expiresAt: expiresAt?.toISOString() });
}
