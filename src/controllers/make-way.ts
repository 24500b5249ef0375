import { hasCode, KeysteadError } from "../errors.ts";
import type { AuditedKind } from "../vault/audit-fragments.ts";
import { claimRow } from "../vault/claim-row.ts";
import type { HeldEnvironment } from "../vault/lock-parents.ts";
import type { Owner } from "../vault/owner.ts";
import type { CallOptions, ControllerDeps } from "./deps.ts";

/** What `connection_id_in_use` and `integration_key_in_use` tell of the row that is in the way. */
interface Holder {
  readonly id: string;
  readonly uid: string | null;
  readonly cluster: string | null;
  readonly release: string | null;
  readonly namespace: string | null;
  readonly name: string | null;
  readonly claimed: boolean | null;
}

/**
 * Where storing a row failed because another has its place: claims it where it was restored for this very resource, and
 * deletes it where its own resource is gone from this cluster without a word. Then the resource can be stored, which is left
 * to the caller. Any other error is thrown again. Looked at only then: a resource that meets nobody pays nothing.
 */
export async function makeWay(
  deps: Pick<ControllerDeps, "vault" | "sweep">,
  kind: AuditedKind,
  desired: HeldEnvironment & { readonly owner: Owner },
  thrown: unknown,
  { signal }: CallOptions,
): Promise<void> {
  const { environmentId, environmentUid, owner } = desired;
  if (hasCode(thrown, "row_unclaimed")) {
    const id = String(thrown.details["id"]);
    await claimRow(deps.vault, kind, { environmentId, environmentUid, owner, id });
    return;
  }
  const holder = holderOf(thrown);
  if (holder && isOurs(holder, owner) && holder.uid !== null && holder.name !== null) {
    const row = { ...holder, kind: kind.kind, owner_uid: holder.uid, owner_namespace: owner.namespace };
    const isRemoved = await deps.sweep.remove(
      { ...row, owner_name: holder.name },
      signal ?? new AbortController().signal,
    );
    if (isRemoved) return;
  }
  throw thrown;
}

function holderOf(thrown: unknown): Holder | undefined {
  if (!(thrown instanceof KeysteadError)) return undefined;
  if (thrown.code !== "connection_id_in_use" && thrown.code !== "integration_key_in_use") return undefined;
  const { holder } = thrown.details;
  return isHolder(holder) ? holder : undefined;
}

/** Put there by refused-connection.ts and refused-integration.ts. */
function isHolder(value: unknown): value is Holder {
  return typeof value === "object" && value !== null && "uid" in value && "claimed" in value;
}

/** The sweep only speaks for rows of this cluster and release, and a reference never leaves its namespace. */
function isOurs(holder: Holder, owner: Owner): boolean {
  return (
    holder.claimed === true &&
    holder.cluster === owner.cluster &&
    holder.release === owner.release &&
    holder.namespace === owner.namespace
  );
}
