import { type ErrorCode, KeysteadError } from "../errors.ts";
import { isClaimable } from "./claim-row.ts";
import { environmentSuperseded } from "./lock-parents.ts";
import type { Owner } from "./owner.ts";

/** What may stand in the way of a row. The holder is whoever has its connection id or key now. */
export interface Circumstances {
  readonly environment_alive: boolean | null;
  /** Whether it belongs to the Environment that the resource refers to: it may have been adopted. */
  readonly environment_ours: boolean | null;
  readonly holder_id: string | null;
  readonly holder_uid: string | null;
  readonly holder_cluster: string | null;
  readonly holder_release: string | null;
  readonly holder_namespace: string | null;
  readonly holder_name: string | null;
  readonly holder_claimed: boolean | null;
}

/** Columns of the holder, `h`, but for its id. */
export const HOLDER_COLUMNS = `h.owner_uid as holder_uid, h.owner_cluster as holder_cluster,
            h.owner_release as holder_release, h.owner_namespace as holder_namespace, h.owner_name as holder_name,
            h.claimed as holder_claimed`;

/** How a row speaks of what it could not have. */
interface Taken {
  readonly kind: "Connection" | "Integration";
  readonly code: ErrorCode;
  /** The id or key, as a sentence begins with it. */
  readonly what: string;
  readonly details: Readonly<Record<string, string>>;
}

/** Why nothing can be written into the environment; undefined when that is not the reason. Pure. */
export function environmentRefusal(environmentId: string, found: Circumstances | undefined): KeysteadError | undefined {
  if (!found?.environment_alive) {
    return new KeysteadError("environment_gone", `environment ${environmentId} does not exist or was deleted`, {
      details: { environmentId },
    });
  }
  if (found.environment_ours) return undefined;
  return environmentSuperseded(environmentId);
}

/** Why the holder keeps the row from being written. A row that nothing speaks against was changed in between. Pure. */
export function holderRefusal(owner: Owner, found: Circumstances | undefined, taken: Taken): KeysteadError {
  const { kind, code, what, details } = taken;
  if (!found || found.holder_id === null) return rowChanged(owner);
  if (waitsFor(owner, found)) {
    return new KeysteadError(
      "row_unclaimed",
      `${kind.toLowerCase()} ${found.holder_id} waits for ${owner.namespace}/${owner.name}`,
      { details: { id: found.holder_id } },
    );
  }
  if (found.holder_uid === owner.uid) return rowChanged(owner);
  // Not even the same name is a reason to take it over: whoever may write Connections would get an end user's token.
  const holder =
    found.holder_uid === null ? "one made over the API" : `${kind} ${found.holder_namespace}/${found.holder_name}`;
  return new KeysteadError(code, `${what} is in use by ${holder}`, {
    details: {
      ...details,
      holder: {
        id: found.holder_id,
        uid: found.holder_uid,
        cluster: found.holder_cluster,
        release: found.holder_release,
        claimed: found.holder_claimed,
        namespace: found.holder_namespace,
        name: found.holder_name,
      },
    },
  });
}

function rowChanged({ namespace, name }: Owner): KeysteadError {
  return new KeysteadError("row_changed", `the row of ${namespace}/${name} changed while it was stored`);
}

/** Whether the holder is the row that was restored for this resource. */
function waitsFor(owner: Owner, holder: Circumstances): boolean {
  return isClaimable(
    {
      owner_cluster: holder.holder_cluster,
      owner_namespace: holder.holder_namespace,
      owner_name: holder.holder_name,
      owner_uid: holder.holder_uid,
      claimed: holder.holder_claimed ?? true,
    },
    owner,
  );
}
