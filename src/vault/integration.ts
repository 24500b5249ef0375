import type { JsonObject } from "../crypto/canonical-json.ts";
import { digestOf } from "../crypto/digest.ts";
import type { EnvironmentKeys } from "./environment-keys.ts";
import { sameSources, type Owner, type SecretSource } from "./owner.ts";

/** What an Integration resource wants to be stored. */
export interface DesiredIntegration {
  readonly owner: Owner;
  readonly environmentId: string;
  /** uid of the Environment that it refers to: refused where another one has the environment. */
  readonly environmentUid: string;
  /** Nango's `unique_key` and `provider_config_key`: the resource's name. */
  readonly uniqueKey: string;
  readonly provider: string;
  readonly displayName?: string | undefined;
  /** Revision the caller has seen, 0 for no row; any other in the database ends with `row_changed`. Absent: whatever is there. */
  readonly expectedRevision?: number;
  /** What was just read of the row, if it was: storing does not look it up again. */
  readonly known?: IntegrationState | undefined;
  /**
   * The OAuth client or app in Nango's shape (`{type, client_id, client_secret, scopes}` or `{type, app_id, private_key}`):
   * encrypted. `"unchanged"`: the Secrets were not read. Absent: the integration has none.
   */
  readonly client?: JsonObject | "unchanged" | undefined;
  /** What the resource says about the client, without secret values. */
  readonly declaration: unknown;
  /** Everything about it that is no secret (`auth`, `scopes`, `proxy`), stored as it is. */
  readonly settings: JsonObject;
  /** Where its credentials may be sent: scheme, host and port. Absent: no origin was ever declared. */
  readonly acceptedOrigins?: readonly string[] | undefined;
  readonly sources: readonly SecretSource[];
  /** As for a connection. */
  readonly handledRestore?: string | undefined;
}

/** Digests of a desired integration, part by part. */
export interface IntegrationDigests {
  readonly declaration: string;
  /** Null: the integration has none. Undefined: it was not read, and is taken for the one that is stored. */
  readonly client: string | null | undefined;
  readonly rest: string;
}

/** What the database knows about the integration of a resource. */
export interface IntegrationState {
  /** Row id, a UUID: `status.integrationId`. */
  readonly id: string;
  readonly environmentId: string;
  readonly uniqueKey: string;
  readonly revision: number;
  readonly digests: IntegrationDigests & { readonly client: string | null };
  readonly sources: readonly SecretSource[];
  /** As in {@link DesiredIntegration}. */
  readonly acceptedOrigins: readonly string[] | undefined;
  /** Whether the row is the resource's; a restored one is served before it is. */
  readonly claimed: boolean;
  /** `spec.restoreFrom` of the resource, if it was done. */
  readonly handledRestore: string | undefined;
}

/** An integration after it was stored; `changed` is false when there was nothing to write but perhaps the sources. */
export interface StoredIntegration extends IntegrationState {
  readonly changed: boolean;
}

/** Digests under the environment's key. Rejects with `environment_gone`, `json_not_canonical` or a `database_*` error. */
export async function integrationDigestsOf(
  vault: { readonly environmentKeys: EnvironmentKeys },
  environmentId: string,
  desired: Pick<
    DesiredIntegration,
    "client" | "declaration" | "provider" | "displayName" | "settings" | "acceptedOrigins"
  >,
): Promise<IntegrationDigests> {
  const { digestKey } = await vault.environmentKeys.of(environmentId);
  return {
    declaration: digestOf(digestKey, "integration.declaration", desired.declaration ?? null),
    client: clientDigest(desired.client, (value) => digestOf(digestKey, "integration.client", value)),
    rest: digestOf(digestKey, "integration.rest", {
      provider: desired.provider,
      displayName: desired.displayName,
      settings: desired.settings,
      acceptedOrigins: desired.acceptedOrigins,
    }),
  };
}

/** Whether the row already says all that the resource wants, so that nothing needs to be written. Pure. */
export function isSettledIntegration(
  state: IntegrationState,
  digests: IntegrationDigests,
  sources: readonly SecretSource[],
): boolean {
  return changedIntegrationParts(state.digests, digests).length === 0 && sameSources(state.sources, sources);
}

/** Names of the parts that differ; they go into the audit event. Pure. */
export function changedIntegrationParts(stored: IntegrationDigests, desired: IntegrationDigests): IntegrationPart[] {
  return INTEGRATION_PARTS.filter((part) => desired[part] !== undefined && desired[part] !== stored[part]);
}

/** The parts of an integration that have a digest. */
export const INTEGRATION_PARTS = ["declaration", "client", "rest"] as const;
/** One of them. */
export type IntegrationPart = (typeof INTEGRATION_PARTS)[number];

function clientDigest(
  client: DesiredIntegration["client"],
  digest: (value: unknown) => string,
): IntegrationDigests["client"] {
  if (client === undefined) return null;
  return client === "unchanged" ? undefined : digest(client);
}
