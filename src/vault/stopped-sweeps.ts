import type { Queryable } from "../db/session-pool.ts";
import type { ReigningVault } from "./context.ts";

/** Whose sweep. */
export interface SweepScope {
  readonly cluster: string;
  readonly release: string;
}

/** A sweep that waits for a person. */
export interface StoppedSweep extends SweepScope {
  readonly orphans: number;
  readonly managed: number;
  readonly stopped_at: Date;
  readonly confirmed_at: Date | null;
}

/** The stopped sweep of a release, if it is. */
export async function findStoppedSweep(
  vault: { readonly database: Queryable },
  { cluster, release }: SweepScope,
): Promise<StoppedSweep | undefined> {
  const [row] = await vault.database.query<StoppedSweep>(
    "select * from keystead.stopped_sweeps where cluster = $1 and release = $2",
    [cluster, release],
  );
  return row;
}

/** Stops the sweep until it is confirmed. A confirmation for fewer orphans is void. */
export async function stopSweep(
  vault: ReigningVault,
  { cluster, release, orphans, managed }: SweepScope & Pick<StoppedSweep, "orphans" | "managed">,
): Promise<void> {
  await vault.database.transaction((transaction) =>
    transaction.query(
      `insert into keystead.stopped_sweeps as s (cluster, release, orphans, managed) values ($1, $2, $3, $4)
       on conflict (cluster, release)
       do update set orphans = excluded.orphans, managed = excluded.managed, confirmed_at = null
        where (s.orphans, s.managed) is distinct from (excluded.orphans, excluded.managed)`,
      [cluster, release, orphans, managed],
    ),
  );
}

/** The sweep is through, or nothing is orphaned any more. */
export async function clearStoppedSweep(vault: ReigningVault, { cluster, release }: SweepScope): Promise<void> {
  await vault.database.transaction((transaction) =>
    transaction.query("delete from keystead.stopped_sweeps where cluster = $1 and release = $2", [cluster, release]),
  );
}

/** All that wait, for whoever administers the database. */
export async function listStoppedSweeps(database: Queryable): Promise<StoppedSweep[]> {
  return database.query<StoppedSweep>("select * from keystead.stopped_sweeps order by stopped_at");
}

/** Lets a stopped sweep go on. False when it does not wait any more, or finds other numbers by now. */
export async function confirmStoppedSweep(
  database: Queryable,
  { cluster, release, orphans }: Pick<StoppedSweep, "cluster" | "release" | "orphans">,
): Promise<boolean> {
  const rows = await database.query(
    `update keystead.stopped_sweeps set confirmed_at = now()
      where cluster = $1 and release = $2 and orphans = $3
      returning cluster`,
    [cluster, release, orphans],
  );
  return rows.length > 0;
}
