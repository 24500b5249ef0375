/** What a sweep found. */
interface SweepFindings {
  /** Rows whose resources are in no list. */
  readonly orphans: number;
  /** Rows in all, those included. */
  readonly managed: number;
  /** Orphans that a person has confirmed. */
  readonly confirmed: number;
}

/** So few orphans are a person at work with kubectl, however small the installation. */
const FEW = 10;

/** A larger part of all rows at once is a lost etcd or a wrong cluster, not people who force finalizers off. */
const LARGE_PART = 0.05;

/** Whether orphans may be deleted: too many at once have to be confirmed, and no more than were confirmed may go. Pure. */
export function judgeSweep({ orphans, managed, confirmed }: SweepFindings): "nothing" | "delete" | "stop" {
  if (orphans === 0) return "nothing";
  const isMany = orphans > FEW && orphans > managed * LARGE_PART;
  return isMany && orphans > confirmed ? "stop" : "delete";
}
