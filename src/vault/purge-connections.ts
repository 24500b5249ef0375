import { inBatches, type Batch, type Pace } from "../db/paced-batches.ts";
import { AUDITED_CONNECTION, insertPurgeEvents } from "./audit-fragments.ts";
import { actorColumns } from "./audit.ts";
import type { Vault } from "./context.ts";
import type { Actor } from "./owner.ts";
import { retentionEnd, retentionEnded } from "./retention.ts";

/** What a purge takes, each with an audit event of its own. */
export type PurgedKind = "environment" | "integration" | "connection";

/** How a purge goes about it. */
export interface PurgeOptions {
  readonly actor: Actor;
  readonly pace: Pace;
  /** Rows that somebody holds: who comes again in any case skips them, who has to see the end waits. */
  readonly locked: "skip" | "wait";
  /** Told after each commit. */
  readonly purged?: (kind: PurgedKind, rows: number) => void;
}

/** What a purge needs of the vault; any replica may do it. */
export type Purges = Pick<Vault, "database">;

/** An environment, or one of its integrations. */
export interface PurgeScope {
  readonly environmentId: string;
  readonly integrationId?: string;
}

/**
 * Removes the connections of an environment whose own retention has ended, in batches of one transaction each. False when
 * the pace's signal ended it before. Two at once share the work; a row that is being restored stays, and all of them while
 * the environment is.
 */
export function purgeDueConnections(vault: Purges, environmentId: string, options: PurgeOptions): Promise<boolean> {
  const isDue = `c.deleted_at <= (
        select ${retentionEnd("e")}
          from keystead.environments e
         where e.environment_id = $1
           for share of e ${lockClause(options)}
      )`;
  return runBatches(vault, purgeOf(`c.environment_id = $1 and ${isDue}`, options), [environmentId], options);
}

/**
 * Removes the soft-deleted connections inside an environment or integration that is due itself, whatever their own time is:
 * what belongs to a thing goes with it. Each batch locks the parent, so that it cannot be restored with half of them.
 */
export function purgeConnectionsInside(
  vault: Purges,
  { environmentId, integrationId }: PurgeScope,
  options: PurgeOptions,
): Promise<boolean> {
  if (integrationId === undefined) {
    const environment = `(
        select e.environment_id
          from keystead.environments e
         where e.environment_id = $1 and ${retentionEnded("e")}
           for update of e ${lockClause(options)}
      )`;
    return runBatches(vault, purgeOf(`c.environment_id = ${environment}`, options), [environmentId], options);
  }
  const integration = `(
        select n.integration_id
          from keystead.environments e
          join keystead.integrations n on n.environment_id = e.environment_id
         where e.environment_id = $1 and n.integration_id = $9 and ${retentionEnded("n")}
           for share of e ${lockClause(options)}
           for update of n ${lockClause(options)}
      )`;
  const text = purgeOf(`c.environment_id = $1 and c.integration_id = ${integration}`, options);
  return runBatches(vault, text, [environmentId, integrationId], options);
}

/** The part of `for update` that says what becomes of rows that somebody holds. */
export function lockClause({ locked }: Pick<PurgeOptions, "locked">): string {
  return locked === "skip" ? "skip locked" : "";
}

/** Where a batch has ended. The instant is text, because a `Date` would cut it to milliseconds. */
interface Cursor {
  readonly deletedAt: string;
  readonly rowId: string;
}

const BEFORE_ALL: Cursor = { deletedAt: "-infinity", rowId: "00000000-0000-0000-0000-000000000000" };

/**
 * $1 is the environment, $2 the size of the batch, $3 to $6 the actor, $7 and $8 the cursor. What decides about a parent is a
 * scalar subquery and no join, because only so do the rows come from an index in their order.
 */
function purgeOf(condition: string, options: PurgeOptions): string {
  return `with batch as (
      select c.environment_id, c.connection_row_id, c.deleted_at
        from keystead.connections c
       where ${condition}
         and c.deleted_at is not null
         and (c.deleted_at, c.connection_row_id) > ($7::timestamptz, $8::uuid)
       order by c.deleted_at, c.connection_row_id
       limit $2
         for update of c ${lockClause(options)}
    ),
    purged as (
      delete from keystead.connections c
       using batch
       where c.environment_id = $1 and c.connection_row_id = batch.connection_row_id
      returning c.environment_id, c.connection_row_id, c.revision, c.deletion_id
    ),
    audited as (${insertPurgeEvents(AUDITED_CONNECTION, 3)})
    select deleted_at::text as "deletedAt", connection_row_id as "rowId", (select count(*) from batch) as count
      from batch
     order by deleted_at desc, connection_row_id desc
     limit 1`;
}

function runBatches(
  { database }: Purges,
  text: string,
  [environmentId, ...scope]: readonly [environmentId: string, ...scope: string[]],
  { actor, pace, purged }: PurgeOptions,
): Promise<boolean> {
  return inBatches<Cursor>(pace, async (size, after = BEFORE_ALL): Promise<Batch<Cursor>> => {
    const values = [environmentId, size, ...actorColumns(actor), after.deletedAt, after.rowId, ...scope];
    const [last] = await database.transaction(async (transaction) => {
      // Of a table that was never analyzed, after a restored backup for one, the planner would read and sort all that is due
      // for each batch.
      await transaction.query("set local enable_sort = off");
      return transaction.query<Cursor & { readonly count: number }>(text, values);
    });
    if (last) purged?.("connection", last.count);
    return { count: last?.count ?? 0, last };
  });
}
