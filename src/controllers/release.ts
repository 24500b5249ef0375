import { removeFinalizer } from "../kube/finalizer.ts";
import type { ResourceKind } from "../kube/resource-path.ts";
import type { Resource } from "../resources/parse.ts";
import type { ReigningVault } from "../vault/context.ts";
import type { Actor } from "../vault/owner.ts";
import type { SoftDeleted } from "../vault/soft-deleted.ts";
import { type CallOptions, type ControllerDeps, ownerOf } from "./deps.ts";
import { FINALIZER } from "./metadata-names.ts";
import { type Notice, recordEvent } from "./notice.ts";
import { gone, type Outcome } from "./outcome.ts";

/** How one kind is deleted. */
interface Release {
  readonly kind: ResourceKind;
  readonly softDelete: (vault: ReigningVault, ownerUid: string, actor: Actor) => Promise<SoftDeleted | undefined>;
  /** What has to go from the cluster before the resource may go. */
  readonly cleanUp?: () => Promise<void>;
}

/**
 * Lets a resource go: its row is soft-deleted, in one transaction and before anything else, then what was written for it
 * goes, then the finalizer. Each step is repeated harmlessly after a crash, and none needs the Environment, the Secret
 * or the namespace to be there still, so a namespace that is being deleted never waits for us.
 */
export async function release(
  deps: ControllerDeps,
  resource: Omit<Resource<string, unknown, unknown>, "spec">,
  { kind, softDelete, cleanUp }: Release,
  calls: CallOptions,
): Promise<Outcome> {
  const { metadata } = resource;
  if (!metadata.finalizers.includes(FINALIZER)) return gone();
  const deleted = await softDelete(deps.vault, metadata.uid, { kind: "resource", owner: ownerOf(deps, metadata) });
  deps.released.add(metadata.uid);
  deps.rows.forget(metadata.uid);
  await cleanUp?.();
  if (deleted) recordEvent(deps.events, kind, resource, noticeOf(deleted));
  await removeFinalizer(deps.client, kind, resource, FINALIZER, calls);
  return gone();
}

function noticeOf(deleted: SoftDeleted): Notice {
  const along = deleted.connections > 0 ? ` Connections deleted with it: ${deleted.connections}.` : "";
  return {
    type: "Normal",
    reason: "SoftDeleted",
    note: `It is no longer served. Its data is kept under the id ${deleted.id} until the retention ends.${along}`,
  };
}
