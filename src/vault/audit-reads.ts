import type { Database } from "../db/database.ts";
import { statement } from "../db/statement.ts";
import { actorColumns, targetKindOf, type AuditRead } from "./audit.ts";

/** Arrays instead of a list of rows: one text for batches of any size, so that Postgres parses and plans it once. */
const RECORD_READS = statement(
  "record_reads",
  `insert into keystead.audit_events (
     environment_id, actor_kind, actor, address, action, target_kind, target_id, target_revision, occurrences
   )
   select environment_id, actor_kind, actor, address, action, target_kind, target_id, target_revision, occurrences
     from unnest(
       $1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::uuid[], $8::bigint[], $9::int[]
     ) as r (environment_id, actor_kind, actor, address, action, target_kind, target_id, target_revision, occurrences)`,
);

/**
 * Records reads of secrets in one insert; equal ones of the batch share a row with a count. Callers wait for it before
 * they hand the secret out: what cannot be recorded is not given. Rejects with a `database_*` error.
 */
export async function recordAuditReads(database: Database, reads: readonly AuditRead[]): Promise<true[]> {
  const groups = [...Map.groupBy(reads, groupOf).values()].flatMap(([first, ...equal]) =>
    first ? [{ ...first, occurrences: equal.length + 1 }] : [],
  );
  const actors = groups.map(({ actor }) => actorColumns(actor));
  await database.write(RECORD_READS, [
    groups.map((read) => read.environmentId),
    actors.map(([kind]) => kind),
    actors.map(([, name]) => name),
    actors.map(([, , , address]) => address),
    groups.map((read) => read.action),
    groups.map((read) => targetKindOf(read.action)),
    groups.map((read) => read.targetId),
    groups.map((read) => String(read.targetRevision)),
    groups.map((read) => String(read.occurrences)),
  ]);
  return reads.map(() => true);
}

/** Equal in everything a row says. */
function groupOf(read: AuditRead): string {
  return [read.targetId, ...actorColumns(read.actor), read.action, read.targetRevision].join(" ");
}
