import { auditCheckpointMac, BEFORE_CHAIN } from "../crypto/audit-mac.ts";
import type { Queryable } from "../db/session-pool.ts";
import type { Vault } from "./context.ts";
import { holdChain, readHead } from "./link-audit-events.ts";

type Keeper = Pick<Vault, "database" | "auditKeys">;

/** Makes the partitions of today and the next days, where they are missing; how many it made. */
export async function prepareAuditDays({ database }: Pick<Keeper, "database">): Promise<number> {
  const [row] = await database.query<{ made: number }>("select keystead.prepare_audit_days() as made");
  return row?.made ?? 0;
}

/**
 * Drops the days that are older than the retention, the oldest first, each after a checkpoint that says with a MAC from which
 * link on the chain goes on; the days that it dropped. A day with an event that is not linked yet stays. Killed in
 * between, the day is dropped by the next turn, of whichever process. Rejects with a `database_*` error.
 */
export async function dropAuditDays(vault: Keeper): Promise<readonly string[]> {
  const dropped: string[] = [];
  for (const day of await daysPastRetention(vault.database)) {
    if (!(await makeCheckpoint(vault, day))) break;
    await vault.database.query("select keystead.drop_audit_day($1)", [day]);
    dropped.push(day);
  }
  return dropped;
}

async function daysPastRetention(database: Queryable): Promise<readonly string[]> {
  const rows = await database.query<{ day: string }>(
    `select day::text
       from (
         select to_date(right(relname, 8), 'YYYYMMDD') as day
           from pg_inherits join pg_class on pg_class.oid = inhrelid
          where inhparent = 'keystead.audit_events'::regclass and relname ~ '^audit_events_[0-9]{8}$'
       ) as days
      cross join keystead.audit_settings
      where day < (now() at time zone 'UTC')::date - retention_days
      order by day`,
  );
  return rows.map(({ day }) => day);
}

/** Whether a checkpoint speaks of the day, made now or before. */
async function makeCheckpoint({ database, auditKeys }: Keeper, day: string): Promise<boolean> {
  return database.transaction(async (transaction) => {
    // While the chain stands still.
    if (!(await holdChain(transaction))) return false;
    const known = await transaction.query("select from keystead.audit_checkpoints where day = $1", [day]);
    if (known.length > 0) return true;
    if (await hasUnlinked(transaction, day)) return false;
    const { current } = auditKeys;
    const content = { day, ...(await lastDroppable(transaction, day)), auditKeyId: current.id };
    await transaction.query(
      `insert into keystead.audit_checkpoints (day, sequence, link_mac, audit_key_id, mac) values ($1, $2, $3, $4, $5)`,
      [day, content.sequence, content.linkMac, current.id, auditCheckpointMac(current, content)],
    );
    return true;
  });
}

/** By the end of the chain alone, which is one look into an index: looking each event up among the links takes minutes. */
async function hasUnlinked(transaction: Queryable, day: string): Promise<boolean> {
  const { through, aboveEvent } = await readHead(transaction);
  const rows = await transaction.query(
    `select
       from keystead.audit_events
      where occurred_at >= $1::date::timestamp at time zone 'UTC'
        and occurred_at < ($1::date + 1)::timestamp at time zone 'UTC'
        and (transaction_id, event_id) > ($2::xid8, $3::bigint)
        and event_id > $4
      limit 1`,
    [day, through.transaction, through.event, aboveEvent],
  );
  return rows.length > 0;
}

/** The last link before the first one of a later day, but never the newest of all; or the one that the last checkpoint had. */
async function lastDroppable(transaction: Queryable, day: string): Promise<{ sequence: number; linkMac: Buffer }> {
  const [row] = await transaction.query<{ sequence: number; link_mac: Buffer }>(
    `with kept as (
       select coalesce(
                (select sequence from keystead.audit_links where day > $1 order by sequence limit 1),
                (select max(sequence) from keystead.audit_links)
              ) as first
     )
     select sequence, link_mac
       from (
         (select sequence, mac as link_mac
            from keystead.audit_links cross join kept where sequence < kept.first order by sequence desc limit 1)
         union all
         (select sequence, link_mac from keystead.audit_checkpoints order by day desc limit 1)
       ) as candidates
      order by sequence desc
      limit 1`,
    [day],
  );
  return { sequence: row?.sequence ?? 0, linkMac: row?.link_mac ?? BEFORE_CHAIN };
}
