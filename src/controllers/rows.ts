import type { Resource } from "../resources/parse.ts";
import type { ConnectionState } from "../vault/connection.ts";
import type { Vault } from "../vault/context.ts";
import { describeConnections } from "../vault/describe-connections.ts";
import { describeEnvironments } from "../vault/describe-environments.ts";
import { describeIntegrations } from "../vault/describe-integrations.ts";
import type { EnvironmentState } from "../vault/environment.ts";
import type { IntegrationState } from "../vault/integration.ts";
import { createKindRows, type KindRows } from "./kind-rows.ts";
import { FINALIZER } from "./metadata-names.ts";
import type { KeysteadResource } from "./targets.ts";

type AnyResource = Omit<Resource<string, unknown, unknown>, "spec">;

/** A row that others refer to. For an Environment both ids are the same. */
export interface RowId {
  readonly id: string;
  readonly environmentId: string;
}

/**
 * What is stored for a resource. A row is looked up by the uid of its resource, and not at all for one without our
 * finalizer: the finalizer is set before the row is made.
 */
export interface Rows {
  environment(resource: AnyResource): Promise<EnvironmentState | undefined>;
  integration(resource: AnyResource): Promise<IntegrationState | undefined>;
  connection(resource: AnyResource): Promise<ConnectionState | undefined>;
  /** Id of the row that others in the cluster refer to; undefined until it was stored. */
  environmentId(resource: AnyResource): Promise<string | undefined>;
  /** The same of an Integration, as long as its row is in that environment. */
  integrationId(resource: AnyResource, environmentId: string): Promise<string | undefined>;
  /** Remembers an id; true when it was not known before, or somebody asked for it in vain: those who wait have to be told. */
  learn(uid: string, row: RowId): boolean;
  /**
   * To be called for a resource that was released: its row is gone, and with a parent's those of its Connections. True
   * where an id was known that others refer to.
   */
  forget(uid: string): boolean;
  /** Loads the rows of many resources of a kind with one query; see `KindRows`. */
  prefetch(kind: KeysteadResource["kind"], resources: readonly AnyResource[]): Promise<void>;
  /** Drops what was loaded ahead. */
  dropPrefetched(): void;
}

export function createRows(vault: Vault): Rows {
  /** Ids of the rows of Environments and Integrations by uid. An Integration gets another row when its Environment is made anew. */
  const ids = new Map<string, RowId>();
  /** uids of those whose id was asked for in vain. That another one has found it since does not end the wait of the first. */
  const missed = new Set<string>();
  const environments = createKindRows((uids) => describeEnvironments(vault, uids));
  const integrations = createKindRows((uids) => describeIntegrations(vault, uids));
  const connections = createKindRows((uids) => describeConnections(vault, uids));
  const all = [environments, integrations, connections];

  function dropPrefetched(): void {
    for (const rows of all) rows.forget();
  }

  return {
    environment: (resource) => find(environments, resource),
    integration: (resource) => find(integrations, resource),
    connection: (resource) => find(connections, resource),
    async environmentId(resource) {
      const { uid } = resource.metadata;
      // Learnt while the database was asked, perhaps.
      const known = ids.get(uid)?.id ?? (await find(environments, resource))?.id ?? ids.get(uid)?.id;
      if (known === undefined) missed.add(uid);
      else ids.set(uid, { id: known, environmentId: known });
      return known;
    },
    async integrationId(resource, environmentId) {
      const { uid } = resource.metadata;
      const known = ids.get(uid);
      if (known?.environmentId === environmentId) return known.id;
      const found = await find(integrations, resource);
      const row = [found, ids.get(uid)].find((one) => one?.environmentId === environmentId);
      if (row) ids.set(uid, { id: row.id, environmentId });
      else missed.add(uid);
      return row?.id;
    },
    learn(uid, row) {
      const isNews = missed.delete(uid) || ids.get(uid)?.id !== row.id;
      ids.set(uid, row);
      return isNews;
    },
    forget(uid) {
      missed.delete(uid);
      const wasKnown = ids.delete(uid);
      if (wasKnown) dropPrefetched();
      for (const rows of all) rows.forget(uid);
      return wasKnown;
    },
    async prefetch(kind, resources) {
      const uids = resources.filter(mayHaveRow).map((resource) => resource.metadata.uid);
      if (uids.length === 0) return;
      switch (kind) {
        case "Environment":
          await loadKeys(vault, await environments.prefetch(uids));
          break;
        case "Integration":
          await integrations.prefetch(uids);
          break;
        case "Connection":
          await connections.prefetch(uids);
          break;
      }
    },
    dropPrefetched,
  };
}

/** All at once, so that few queries load them; whose keys cannot be had finds out in its own pass. */
async function loadKeys(vault: Vault, environments: ReadonlyMap<string, EnvironmentState>): Promise<void> {
  await Promise.allSettled([...environments.values()].map(({ id }) => vault.environmentKeys.of(id)));
}

async function find<State>(rows: KindRows<State>, resource: AnyResource): Promise<State | undefined> {
  return mayHaveRow(resource) ? rows.find(resource.metadata.uid) : undefined;
}

function mayHaveRow(resource: AnyResource): boolean {
  return resource.metadata.finalizers.includes(FINALIZER);
}
