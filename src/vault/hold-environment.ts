import type { Queryable } from "../db/session-pool.ts";
import type { Owner } from "./owner.ts";

/**
 * Locks the row of an environment to the end of the transaction, if it is alive and that resource's: whoever changes its named
 * keys does so one after the other, and not across an adoption or a deletion. False otherwise.
 */
export async function holdEnvironment(transaction: Queryable, environmentId: string, owner: Owner): Promise<boolean> {
  const rows = await transaction.query(
    `select from keystead.environments
      where environment_id = $1 and owner_uid = $2 and deleted_at is null
        for no key update`,
    [environmentId, owner.uid],
  );
  return rows.length > 0;
}
