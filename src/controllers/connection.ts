import { type Connection, connectionIdOf, parseConnection } from "../resources/connection.ts";
import { credentialOf } from "../resources/credentials.ts";
import { AUDITED_CONNECTION } from "../vault/audit-fragments.ts";
import { claimRow } from "../vault/claim-row.ts";
import {
  type ConnectionState,
  connectionDigestsOf,
  type DesiredConnection,
  isSettledConnection,
} from "../vault/connection.ts";
import { orphanConnection } from "../vault/orphan-connection.ts";
import { restoreConnection } from "../vault/restore-connection.ts";
import { softDeleteConnection } from "../vault/soft-delete-connection.ts";
import { storeConnection } from "../vault/store-connection.ts";
import { assembleCredentials, type CredentialsIntegration, refuseMismatch } from "./credentials.ts";
import { claim } from "./claim.ts";
import { decide } from "./decide.ts";
import { type CallOptions, type ControllerDeps, ownerOf } from "./deps.ts";
import { instantOf } from "./instant.ts";
import { CONNECTION } from "../resources/kinds.ts";
import { makeWay } from "./make-way.ts";
import { gone, type Outcome, settled, stalled } from "./outcome.ts";
import { findParents, integrationNotReady, type Parents } from "./parents.ts";
import { resolveSpec } from "./provider.ts";
import { release } from "./release.ts";
import { reviveRow, withFinalizer } from "./revive.ts";
import type { Reconciler } from "./runner.ts";

/** Everything about the desired row that needs no Secret. */
type Declared = Omit<DesiredConnection, "credentials" | "sources">;

/** The reconciler of Connections, for `followKind`. */
export function connectionReconciler(deps: ControllerDeps): Reconciler<Connection> {
  return {
    kind: CONNECTION,
    parse: parseConnection,
    get: deps.connections.get,
    reconcile: (resource, calls) => reconcileConnection(deps, resource, calls),
    release: (resource, calls) => releaseConnection(deps, resource, calls),
  };
}

/**
 * One pass over a Connection: its row says what its spec and its Secrets say. Where both did not change since they were
 * stored, it makes no call to the API server and no write to the database.
 */
async function reconcileConnection(deps: ControllerDeps, resource: Connection, calls: CallOptions): Promise<Outcome> {
  const parents = await findParents(deps, resource);
  if (parents.kind !== "parents") return parents;

  const credential = credentialOf(resource.spec.credentials);
  const integration = credentialsIntegration(parents);
  if (!integration) return integrationNotReady(parents.integration.metadata.name);
  const refused = credential && refuseMismatch(credential, integration);
  if (refused) return refused;

  const revived = await reviveRow(deps.client, resource, revivalOf(deps, resource, parents), calls);
  if (revived.kind !== "revived") return revived;
  const { resource: connection, state } = revived;
  const declared = declare(deps, connection, parents, state);
  const decision = await decide(
    deps.secrets,
    connection,
    {
      state,
      row: (take, sources): DesiredConnection => ({
        ...declared,
        credentials: credential && (take ? assembleCredentials(credential, integration, take) : "unchanged"),
        sources,
      }),
      digestsOf: (row) => connectionDigestsOf(deps.vault, row.environmentId, row),
      isSettled: (stored, digests, sources) =>
        stored.environmentId === parents.environmentId &&
        stored.integrationId === parents.integrationId &&
        isSettledConnection(stored, digests, sources),
    },
    calls,
  );
  if (decision.kind === "keep") return outcomeOf(decision.state);
  if (decision.kind !== "write") return decision;

  if (!(await claim(deps.client, CONNECTION, connection, calls))) return gone();
  try {
    return outcomeOf(await storeConnection(deps.vault, decision.row));
  } catch (thrown) {
    await makeWay(deps, AUDITED_CONNECTION, decision.row, thrown, calls);
    return await reconcileConnection(deps, withFinalizer(connection), calls);
  }
}

function revivalOf(deps: ControllerDeps, connection: Connection, parents: Parents) {
  const { environmentId, environmentUid, integrationId } = parents;
  const owner = ownerOf(deps, connection.metadata);
  const place = { environmentId, environmentUid, integrationId, connectionId: connectionIdOf(connection) };
  const keepsCredentials = connection.spec.credentials === undefined;
  return {
    kind: CONNECTION,
    find: (resource: Connection) => deps.rows.connection(resource),
    restore: (id: string) => restoreConnection(deps.vault, { id, owner, ...place, keepsCredentials }),
    claimRow: (state: ConnectionState) => claimRow(deps.vault, AUDITED_CONNECTION, { ...state, environmentUid, owner }),
  };
}

/** Ends the row of a Connection that is being deleted, or its own hold on it, and lets it go. */
function releaseConnection(
  deps: ControllerDeps,
  connection: Omit<Connection, "spec">,
  calls: CallOptions,
): Promise<Outcome> {
  const how = {
    kind: CONNECTION,
    rows: "connection",
    softDelete: softDeleteConnection,
    orphan: orphanConnection,
  } as const;
  return release(deps, connection, how, calls);
}

function declare(
  deps: ControllerDeps,
  connection: Connection,
  parents: Parents,
  state: ConnectionState | undefined,
): Declared {
  const { spec } = connection;
  return {
    owner: ownerOf(deps, connection.metadata),
    environmentId: parents.environmentId,
    environmentUid: parents.environmentUid,
    integrationId: parents.integrationId,
    connectionId: connectionIdOf(connection),
    expectedRevision: state?.revision ?? 0,
    known: state,
    handledRestore: spec.restoreFrom,
    // The app id comes from the Integration and is part of the credential, so a new one has to look like an edit.
    declaration: { credentials: spec.credentials, appId: spec.credentials?.app && parents.integration.spec.appId },
    config: spec.config ?? {},
    metadata: spec.metadata,
    tags: spec.tags ?? {},
    endUser: spec.endUser,
  };
}

/** Undefined for an Integration whose provider was edited to one that nobody knows. */
function credentialsIntegration({ integration }: Parents): CredentialsIntegration | undefined {
  const { metadata, spec } = integration;
  const resolved = resolveSpec(spec);
  return resolved && { name: metadata.name, authMode: resolved.auth.mode, appId: spec.appId };
}

function outcomeOf(state: ConnectionState): Outcome {
  if (state.credentialsType === undefined) {
    return stalled(
      "AuthorizationRequired",
      "There are no credentials yet: nobody has authorized this connection. Give it spec.credentials.",
    );
  }
  const { credentialsType, credentialsExpiresAt } = state;
  return settled("The credentials are stored and served.", {
    connectionId: state.id,
    credentials: {
      type: credentialsType,
      ...(credentialsExpiresAt && { expiresAt: instantOf(credentialsExpiresAt) }),
    },
  });
}
