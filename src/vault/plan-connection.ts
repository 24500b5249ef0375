import { uuidv7 } from "../crypto/uuid.ts";
import { KeysteadError } from "../errors.ts";
import { changedConnectionParts, connectionDigestsOf, CONNECTION_PARTS } from "./connection.ts";
import type {
  ConnectionDigests,
  ConnectionPart,
  ConnectionState,
  DesiredConnection,
  StoredConnection,
} from "./connection.ts";
import type { ConnectionRow } from "./connection-statements.ts";
import { sameSources } from "./owner.ts";
import { sealJson, type Seals } from "./seal.ts";
import type { StorePlan } from "./store-rows.ts";

/** What may differ between a stored row and a resource, as audit events name it. */
type ChangedPart = ConnectionPart | "integration";

/**
 * Decides what has to be written for a Connection resource, and seals it. Rejects with `row_changed` when the caller
 * left out secret values that are needed after all.
 */
export async function planConnection(
  vault: Seals,
  desired: DesiredConnection,
  found: ConnectionState | undefined,
): Promise<StorePlan<ConnectionRow, StoredConnection>> {
  // A row of the same resource in another environment is another connection.
  const state = found?.environmentId === desired.environmentId ? found : undefined;
  const digests = await connectionDigestsOf(vault, desired.environmentId, desired);
  const changed = state ? differences(desired, state, digests) : CONNECTION_PARTS;
  if (desired.credentials === "unchanged" && (!state || changed.includes("declaration"))) throw secretsNeeded(desired);

  const stored = storedConnection(desired, state, digests, changed);
  if (state && changed.length === 0 && sameSources(state.sources, desired.sources)) return { kind: "settled", stored };
  const row = await connectionRow(vault, desired, state, stored, changed);
  return { kind: state ? "update" : "insert", row, stored };
}

/** Parts that differ. The integration is one: after it was made anew under its name it is another row. */
function differences(
  desired: DesiredConnection,
  state: ConnectionState,
  digests: ConnectionDigests,
): readonly ChangedPart[] {
  const parts: ChangedPart[] = changedConnectionParts(state.digests, digests);
  return state.integrationId === desired.integrationId ? parts : [...parts, "integration"];
}

/** What will be stored once the plan is carried out. */
function storedConnection(
  desired: DesiredConnection,
  state: ConnectionState | undefined,
  digests: ConnectionDigests,
  changed: readonly ChangedPart[],
): StoredConnection {
  const { environmentId, integrationId, connectionId, sources } = desired;
  const credentials = changed.includes("credentials") ? declaredCredentials(desired) : undefined;
  const kept = changed.includes("credentials") ? undefined : state;
  return {
    id: state?.id ?? uuidv7(),
    environmentId,
    integrationId,
    connectionId,
    revision: (state?.revision ?? 0) + (changed.length > 0 ? 1 : 0),
    digests: {
      ...digests,
      credentials: digests.credentials === undefined ? (state?.digests.credentials ?? null) : digests.credentials,
    },
    sources,
    credentialsType: credentials?.type ?? kept?.credentialsType,
    credentialsExpiresAt: credentials?.expiresAt ?? kept?.credentialsExpiresAt,
    claimed: true,
    handledRestore: state ? state.handledRestore : desired.handledRestore,
    changed: changed.length > 0,
  };
}

/** Seals only what changed; the statements leave a column alone whose sealed value is null and not replaced. */
async function connectionRow(
  vault: Seals,
  desired: DesiredConnection,
  state: ConnectionState | undefined,
  stored: StoredConnection,
  changed: readonly ChangedPart[],
): Promise<ConnectionRow> {
  const { owner } = desired;
  const place = { environmentId: stored.environmentId, rowId: stored.id, revision: stored.revision };
  const credentials = changed.includes("credentials") ? declaredCredentials(desired) : undefined;
  return {
    environment_id: stored.environmentId,
    connection_row_id: stored.id,
    integration_id: stored.integrationId,
    connection_id: stored.connectionId,
    owner_cluster: owner.cluster,
    owner_release: owner.release,
    owner_namespace: owner.namespace,
    owner_name: owner.name,
    owner_uid: owner.uid,
    environment_uid: desired.environmentUid,
    field_manager: desired.owner.fieldManager ?? null,
    revision: state?.revision ?? 0,
    changed: changed.join(","),
    replaces_credentials: changed.includes("credentials"),
    credentials_type: credentials?.type ?? null,
    credentials_sealed: credentials
      ? await sealJson(vault, { ...place, label: "connection.credentials" }, credentials.value)
      : null,
    credentials_expires_at: credentials?.expiresAt ?? null,
    config_sealed: changed.includes("config")
      ? await sealJson(vault, { ...place, label: "connection.config" }, desired.config)
      : null,
    metadata: desired.metadata ? JSON.stringify(desired.metadata) : null,
    tags: JSON.stringify(desired.tags),
    end_user: desired.endUser ? JSON.stringify(desired.endUser) : null,
    declaration_digest: stored.digests.declaration,
    credentials_digest: stored.digests.credentials,
    config_digest: stored.digests.config,
    rest_digest: stored.digests.rest,
    sources: JSON.stringify(desired.sources),
    handled_restore: stored.handledRestore ?? null,
  };
}

/** Credentials that are there to be stored. */
function declaredCredentials({ credentials }: DesiredConnection) {
  return credentials === "unchanged" ? undefined : credentials;
}

function secretsNeeded({ owner }: DesiredConnection): KeysteadError {
  return new KeysteadError(
    "row_changed",
    `the credentials of ${owner.namespace}/${owner.name} have to be read: what is stored was declared otherwise`,
  );
}
