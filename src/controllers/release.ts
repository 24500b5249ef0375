import { KeysteadError } from "../errors.ts";
import { removeFinalizer } from "../kube/finalizer.ts";
import type { ResourceKind } from "../kube/resource-path.ts";
import type { Resource } from "../resources/parse.ts";
import type { ReigningVault } from "../vault/context.ts";
import type { OrphanedConnection } from "../vault/orphan-connection.ts";
import type { Actor } from "../vault/owner.ts";
import type { PurgedKind } from "../vault/purge-connections.ts";
import { purgeOwned } from "../vault/purge-owned.ts";
import type { SoftDeleted } from "../vault/soft-deleted.ts";
import { type CallOptions, type ControllerDeps, ownerOf } from "./deps.ts";
import { FINALIZER } from "./metadata-names.ts";
import { type Notice, recordEvent } from "./notice.ts";
import { gone, type Outcome } from "./outcome.ts";

/** How one kind is deleted. */
interface Release {
  readonly kind: ResourceKind;
  /** Its rows, in the words of the vault. */
  readonly rows: PurgedKind;
  readonly softDelete: (vault: ReigningVault, ownerUid: string, actor: Actor) => Promise<SoftDeleted | undefined>;
  /** Where the row may stay alive without its resource. */
  readonly orphan?: (vault: ReigningVault, ownerUid: string, actor: Actor) => Promise<OrphanedConnection | undefined>;
  /** What has to go from the cluster before the resource may go. */
  readonly cleanUp?: () => Promise<unknown>;
}

type Released = Omit<Resource<string, unknown, unknown>, "spec">;

/** Nobody ends a pass that was given no signal. */
const NEVER = new AbortController().signal;

/**
 * Lets a resource go, by its newest `spec.deletionPolicy`: its row is soft-deleted, in one transaction and before anything else,
 * then what was written for it goes, then, with the policy Purge, all that was ever stored for it, then the finalizer. Each
 * step is repeated harmlessly after a crash, and none needs the Environment, the Secret or the namespace to be there still,
 * so a namespace that is being deleted never waits for us.
 */
export async function release(
  deps: ControllerDeps,
  resource: Released,
  how: Release,
  calls: CallOptions,
): Promise<Outcome> {
  const { metadata } = resource;
  if (!metadata.finalizers.includes(FINALIZER)) return gone();
  const actor: Actor = { kind: "resource", owner: ownerOf(deps, metadata) };
  const ended = await endRow(deps, resource, how, actor);
  // The sweep of orphans has nothing to look for when it goes.
  deps.released.add(metadata.uid);
  deps.rows.forget(metadata.uid);
  await how.cleanUp?.();
  if (resource.deletionPolicy === "Purge") {
    const pace = { signal: calls.signal ?? NEVER, share: 1 };
    if (!(await purgeOwned(deps.vault, how.rows, metadata.uid, { actor, pace }))) return purgeGoesOn();
  }
  if (ended) recordEvent(deps.events, how.kind, resource, ended);
  await removeFinalizer(deps.client, how.kind, resource, FINALIZER, calls);
  return gone();
}

/** Takes the row from the resource; what its owner should read about that, where there was one. */
async function endRow(
  { vault }: ControllerDeps,
  { metadata, deletionPolicy }: Released,
  { softDelete, orphan }: Release,
  actor: Actor,
): Promise<Notice | undefined> {
  if (deletionPolicy === "Orphan" && orphan) {
    const orphaned = await orphan(vault, metadata.uid, actor);
    return orphaned && orphanNotice(orphaned);
  }
  const deleted = await softDelete(vault, metadata.uid, actor);
  if (!deleted) return undefined;
  return deletionPolicy === "Purge" ? purgeNotice(deleted) : deletionNotice(deleted);
}

/** The pass was told to end. What is gone stays gone, and the next one goes on. */
function purgeGoesOn(): Outcome {
  const cause = new KeysteadError("row_changed", "erasing what is stored has not come to its end yet");
  return { kind: "retry", cause };
}

function deletionNotice(deleted: SoftDeleted): Notice {
  return {
    type: "Normal",
    reason: "SoftDeleted",
    note: `It is no longer served. Its data is kept under the id ${deleted.id} until the retention ends.${along(deleted)}`,
  };
}

function purgeNotice(deleted: SoftDeleted): Notice {
  return {
    type: "Normal",
    reason: "Purged",
    note: `It is no longer served, and its data was erased for good.${along(deleted)}`,
  };
}

function orphanNotice({ id }: OrphanedConnection): Notice {
  return {
    type: "Normal",
    reason: "Orphaned",
    note: `Its connection is served as before under the id ${id}, and no resource manages it any more.`,
  };
}

function along({ connections }: SoftDeleted): string {
  return connections > 0 ? ` Connections deleted with it: ${connections}.` : "";
}
