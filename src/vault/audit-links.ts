import type { AuditCheckpointContent, AuditLinkContent } from "../crypto/audit-mac.ts";
import type { Queryable } from "../db/session-pool.ts";

/** A link as it is stored: with the MAC that is to be proven. */
export interface StoredLink extends AuditLinkContent {
  readonly mac: Buffer;
}

/** A checkpoint as it is stored. */
export interface StoredCheckpoint extends AuditCheckpointContent {
  readonly mac: Buffer;
}

interface LinkRow {
  readonly sequence: number;
  readonly audit_key_id: string;
  readonly linked_at: Date;
  readonly day: string;
  readonly after_transaction: string;
  readonly after_event: number;
  readonly through_transaction: string;
  readonly through_event: number;
  readonly above_event: number;
  readonly event_ids: readonly string[];
  readonly digests: Buffer;
  readonly mac: Buffer;
}

/** Links after a sequence number, in order. */
export async function readLinks(database: Queryable, after: number, limit: number): Promise<StoredLink[]> {
  const rows = await database.query<LinkRow>(
    `select sequence, audit_key_id, linked_at, day::text, after_transaction::text, after_event,
            through_transaction::text, through_event, above_event, event_ids::text[], digests, mac
       from keystead.audit_links
      where sequence > $1
      order by sequence
      limit $2`,
    [after, limit],
  );
  return rows.map((row) => ({
    sequence: row.sequence,
    auditKeyId: row.audit_key_id,
    linkedAt: row.linked_at,
    day: row.day,
    after: { transaction: row.after_transaction, event: row.after_event },
    through: { transaction: row.through_transaction, event: row.through_event },
    aboveEvent: row.above_event,
    eventIds: row.event_ids.map(Number),
    digests: row.digests,
    mac: row.mac,
  }));
}

/** All checkpoints, one for each day that was dropped, in order. */
export async function readCheckpoints(database: Queryable): Promise<StoredCheckpoint[]> {
  const rows = await database.query<{
    day: string;
    sequence: number;
    link_mac: Buffer;
    audit_key_id: string;
    mac: Buffer;
  }>("select day::text, sequence, link_mac, audit_key_id, mac from keystead.audit_checkpoints order by day");
  return rows.map(({ day, sequence, link_mac: linkMac, audit_key_id: auditKeyId, mac }) => ({
    day,
    sequence,
    linkMac,
    auditKeyId,
    mac,
  }));
}
