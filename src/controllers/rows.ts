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
  integrationId(resource: AnyResource): Promise<string | undefined>;
  /** Remembers an id; true when it was not known before, so that those who wait for it have to be told. */
  learn(uid: string, id: string): boolean;
  forget(uid: string): void;
  /** Loads the rows of many Connections with one query; each is handed out once, to the first pass over its resource. */
  prefetchConnections(resources: readonly AnyResource[]): Promise<void>;
}

export function createRows(vault: Vault): Rows {
  /** Row ids of Environments and Integrations by uid. A uid keeps its row for life. */
  const ids = new Map<string, string>();
  const prefetched = new Map<string, ConnectionState | undefined>();

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

  async function idOf(
    resource: AnyResource,
    describe: (resource: AnyResource) => Promise<{ id: string } | undefined>,
  ): Promise<string | undefined> {
    const { uid } = resource.metadata;
    const known = ids.get(uid) ?? (await describe(resource))?.id;
    if (known !== undefined) ids.set(uid, known);
    return known;
  }

  return {
    environment,
    integration,
    async connection(resource) {
      if (!mayHaveRow(resource)) return undefined;
      const { uid } = resource.metadata;
      if (prefetched.has(uid)) {
        const state = prefetched.get(uid);
        prefetched.delete(uid);
        return state;
      }
      return (await describeConnections(vault, [uid])).get(uid);
    },
    environmentId: (resource) => idOf(resource, environment),
    integrationId: (resource) => idOf(resource, integration),
    learn(uid, id) {
      const isNew = ids.get(uid) !== id;
      ids.set(uid, id);
      return isNew;
    },
    forget(uid) {
      ids.delete(uid);
      prefetched.delete(uid);
    },
    async prefetchConnections(resources) {
      const uids = resources.filter(mayHaveRow).map((resource) => resource.metadata.uid);
      if (uids.length === 0) return;
      const states = await describeConnections(vault, uids);
      for (const uid of uids) prefetched.set(uid, states.get(uid));
    },
  };
}

function mayHaveRow(resource: AnyResource): boolean {
  return resource.metadata.finalizers.includes(FINALIZER);
}
