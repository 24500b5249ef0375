import { hasCode } from "../errors.ts";
import type { AuditedKind } from "../vault/audit-fragments.ts";
import { claimRow } from "../vault/claim-row.ts";
import type { ReigningVault } from "../vault/context.ts";
import type { Owner } from "../vault/owner.ts";

/**
 * Where storing a row failed because a restored one waits for this very resource, claims that; any other error is thrown
 * again. Looked for only then: a resource that is new for good pays nothing.
 */
export async function claimUnclaimed(
  vault: ReigningVault,
  kind: AuditedKind,
  { environmentId, owner }: { readonly environmentId: string; readonly owner: Owner },
  thrown: unknown,
): Promise<void> {
  if (!hasCode(thrown, "row_unclaimed")) throw thrown;
  await claimRow(vault, kind, { environmentId, owner, id: String(thrown.details["id"]) });
}
