import { createBatcher } from "../db/batch.ts";
import type { Resource } from "../resources/parse.ts";
import type { ConnectionState } from "../vault/connection.ts";
import type { Vault } from "../vault/context.ts";
import { describeConnections } from "../vault/describe-connections.ts";
import { describeEnvironments } from "../vault/describe-environments.ts";
import { describeIntegrations } from "../vault/describe-integrations.ts";
import type { EnvironmentState } from "../vault/environment.ts";
import type { IntegrationState } from "../vault/integration.ts";
import { FINALIZER } from "./metadata-names.ts";

type AnyResource = Omit<Resource<string, unknown, unknown>, "spec">;

/** A row that others refer to. For an Environment both ids are the same. */
export interface RowId {
  readonly id: string;
  readonly environmentId: string;
}

/** Rows of one query: the passes of a catch-up that ask at the same moment share one. */
const DESCRIBE_BATCH = 1_000;

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
  /** Remembers an id; true when it was not known before, so that those who wait for it have to be told. */
  learn(uid: string, row: RowId): boolean;
  /** To be called for a resource that was released: its row is gone, and with a parent's those of its Connections. */
  forget(uid: string): void;
  /**
   * Loads the rows of many Connections with one query; each is handed out once, to the first pass over its resource. What
   * was loaded two calls ago and not asked for since is dropped.
   */
  prefetchConnections(resources: readonly AnyResource[]): Promise<void>;
  /** Drops what was loaded ahead. */
  dropPrefetched(): void;
}

export function createRows(vault: Vault): Rows {
  /** Rows of Environments and Integrations by uid. An Integration gets another row when its Environment is made anew. */
  const ids = new Map<string, RowId>();
  /** The last two loads, newest first: the queue still holds some of the one before when the next is loaded. */
  let prefetched: readonly Map<string, ConnectionState | undefined>[] = [];
  const describeConnection = createBatcher<string, ConnectionState | undefined>({
    maxSize: DESCRIBE_BATCH,
    async run(uids) {
      const states = await describeConnections(vault, [...uids]);
      return uids.map((uid) => states.get(uid));
    },
  });

  async function environment(resource: AnyResource): Promise<EnvironmentState | undefined> {
    if (!mayHaveRow(resource)) return undefined;
    const { uid } = resource.metadata;
    return (await describeEnvironments(vault, [uid])).get(uid);
  }

  async function integration(resource: AnyResource): Promise<IntegrationState | undefined> {
    if (!mayHaveRow(resource)) return undefined;
    const { uid } = resource.metadata;
    return (await describeIntegrations(vault, [uid])).get(uid);
  }

  return {
    environment,
    integration,
    async connection(resource) {
      if (!mayHaveRow(resource)) return undefined;
      const { uid } = resource.metadata;
      for (const load of prefetched) {
        if (!load.has(uid)) continue;
        const state = load.get(uid);
        load.delete(uid);
        return state;
      }
      return describeConnection(uid);
    },
    async environmentId(resource) {
      const { uid } = resource.metadata;
      const known = ids.get(uid)?.id ?? (await environment(resource))?.id;
      if (known !== undefined) ids.set(uid, { id: known, environmentId: known });
      return known;
    },
    async integrationId(resource, environmentId) {
      const { uid } = resource.metadata;
      const known = ids.get(uid);
      if (known?.environmentId === environmentId) return known.id;
      const found = await integration(resource);
      if (found?.environmentId !== environmentId) return undefined;
      ids.set(uid, { id: found.id, environmentId });
      return found.id;
    },
    learn(uid, row) {
      const isNew = ids.get(uid)?.id !== row.id;
      ids.set(uid, row);
      return isNew;
    },
    forget(uid) {
      if (ids.delete(uid)) prefetched = [];
      for (const load of prefetched) load.delete(uid);
    },
    async prefetchConnections(resources) {
      const uids = resources.filter(mayHaveRow).map((resource) => resource.metadata.uid);
      if (uids.length === 0) return;
      const states = await describeConnections(vault, uids);
      prefetched = [new Map(uids.map((uid) => [uid, states.get(uid)])), ...prefetched.slice(0, 1)];
    },
    dropPrefetched() {
      prefetched = [];
    },
  };
}

function mayHaveRow(resource: AnyResource): boolean {
  return resource.metadata.finalizers.includes(FINALIZER);
}
