import type { KubeClient } from "../kube/client.ts";
import type { EventRecorder } from "../kube/event-recorder.ts";
import type { WriteOptions } from "../kube/json-patch.ts";
import type { ObjectKey } from "../kube/object.ts";
import type { Connection } from "../resources/connection.ts";
import type { Environment } from "../resources/environment.ts";
import type { Integration } from "../resources/integration.ts";
import type { Parsed, ResourceMetadata } from "../resources/parse.ts";
import type { ReigningVault } from "../vault/context.ts";
import type { Owner } from "../vault/owner.ts";
import type { IssuerKeys } from "./issuer-keys.ts";
import type { Rows } from "./rows.ts";
import type { Secrets, SecretVersion } from "./secrets.ts";
import type { ServiceAccountWatch } from "./service-account-watch.ts";
import type { Sweep } from "./sweep.ts";

/** How the calls of one pass are made: its signal, and whether they may overtake those of others. */
export type CallOptions = WriteOptions;

/** Read access to the objects of one kind, as the watch last showed them. */
export interface Store<R> {
  readonly get: (key: ObjectKey) => R | undefined;
}

/** A Secret that is known to be right. */
export interface WrittenSecret extends SecretVersion {
  /** Fingerprints of the keys that it holds. */
  readonly holds: string;
}

/** What the reconcilers of all three kinds work with. */
export interface ControllerDeps {
  readonly client: KubeClient;
  readonly vault: ReigningVault;
  readonly rows: Rows;
  readonly secrets: Secrets;
  readonly events: EventRecorder;
  readonly environments: Store<Parsed<Environment>>;
  readonly integrations: Store<Parsed<Integration>>;
  readonly connections: Store<Parsed<Connection>>;
  /** uid of the cluster's kube-system namespace. */
  readonly cluster: string;
  readonly release: string;
  /** Where applications reach the API: `KEYSTEAD_HOST` in the Secret of an Environment. */
  readonly serviceUrl: string;
  /** The Secrets as they were last written, by uid of the Environment and name. */
  readonly writtenSecrets: Map<string, Map<string, WrittenSecret>>;
  /** uids of the Environments of which this process has looked for Secrets under former names. */
  readonly clearedSecrets: Set<string>;
  /** uids of the resources that were released, until the watch shows that they are gone. */
  readonly released: Set<string>;
  readonly sweep: Sweep;
  readonly serviceAccounts: Pick<ServiceAccountWatch, "uidOf">;
  readonly issuerKeys: IssuerKeys;
  /** Starts a pass over everything that refers to this Environment or Integration. */
  wakeDependents(kind: "Environment" | "Integration", key: ObjectKey): void;
}

/** The owner under which a resource's row is stored. */
export function ownerOf(deps: Pick<ControllerDeps, "cluster" | "release">, metadata: ResourceMetadata): Owner {
  const { namespace, name, uid, fieldManager } = metadata;
  return { cluster: deps.cluster, release: deps.release, namespace, name, uid, fieldManager };
}
