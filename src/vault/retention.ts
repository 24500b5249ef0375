/**
 * Condition of a statement: the retention of a soft-deleted row has ended. Both arguments are aliases of tables, the second
 * that of the row's environment, whose `retention_seconds` of today counts. False of what is not deleted.
 *
 * `now()` is the database's clock, the only one that counts: that of a pod may be a year ahead. Tests move `deleted_at`.
 */
export function retentionEnded(row: string, environment = "e"): string {
  return `${row}.deleted_at <= ${retentionEnd(environment)}`;
}

/**
 * The `deleted_at` of what is to be purged at once: longer ago than any retention can be, so that it is due for every
 * purger and for no restore.
 */
export const PURGED_AT_ONCE = "epoch";

/** The instant before which something has to have been deleted for its retention to have ended. */
export function retentionEnd(environment: string): string {
  return `now() - make_interval(secs => ${environment}.retention_seconds)`;
}
