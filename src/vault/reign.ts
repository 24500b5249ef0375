import type { Database } from "../db/database.ts";
import type { Queryable } from "../db/session-pool.ts";
import { hasCode, KeysteadError } from "../errors.ts";

/** Whose reigns are counted together: those of the controllers of one release in one cluster. */
export interface ReignOptions {
  readonly cluster: string;
  readonly release: string;
  /** Who reigns, for people: it stands in the error of whoever reigned before. */
  readonly holder: string;
}

/** What shows a statement which reign it belongs to: the values of three parameters in a row. */
export type ReignClaim = readonly [cluster: string, release: string, reign: number];

/**
 * The time in which one process stores and soft-deletes for the resources of a release. A later one ends it: from then on
 * Postgres refuses its writes, whatever its process believes, be it that it was frozen, that its clock stood still, or
 * that two were started on purpose.
 */
export interface Reign {
  /**
   * Ends the reign before and waits until none of its writes is under way any more. What was read before may be out of
   * date, and what is read afterwards is not. After a failure (`database_*`) it can be called again.
   */
  begin(): Promise<number>;
  /** Throws `internal_error` before the reign has begun. */
  claim(): ReignClaim;
  /** Rejects with `leadership_lost` as soon as a write was refused because another reign has begun; never resolves. */
  readonly over: Promise<never>;
  /** To be told of every error that a write ended with. */
  failed(thrown: unknown): void;
}

/** A reign that has yet to begin. */
export function createReign(database: Queryable, { cluster, release, holder }: ReignOptions): Reign {
  const { promise: over, reject: end } = Promise.withResolvers<never>();
  // Whoever waits for it hears of it; nobody has to.
  over.catch(() => undefined);
  let number: number | undefined;
  return {
    async begin() {
      const raised = await raise(database, { cluster, release, holder });
      await writesUnderWay(database, { cluster, release });
      number = raised;
      return raised;
    },
    claim() {
      if (number === undefined) throw new KeysteadError("internal_error", `no reign of release ${release} has begun`);
      return [cluster, release, number];
    },
    over,
    failed(thrown) {
      if (hasCode(thrown, "leadership_lost")) end(thrown);
    },
  };
}

/** Committed at once: from here on no write of an earlier reign can begin. */
async function raise(database: Queryable, { cluster, release, holder }: ReignOptions): Promise<number> {
  const [row] = await database.query<{ reign: number }>(
    `insert into keystead.reigns as r (cluster, release, reign, holder, started_at)
     values ($1, $2, 1, $3, now())
     on conflict (cluster, release)
     do update set reign = r.reign + 1, holder = excluded.holder, started_at = excluded.started_at
     returning reign`,
    [cluster, release, holder],
  );
  if (row) return row.reign;
  throw new KeysteadError("internal_error", `the reign of release ${release} was not counted`);
}

/** Resolves when all that hold an earlier reign have committed or rolled back. None can follow, so the wait ends. */
async function writesUnderWay(database: Queryable, { cluster, release }: Omit<ReignOptions, "holder">): Promise<void> {
  await database.query("select from keystead.reigns where cluster = $1 and release = $2 for update", [
    cluster,
    release,
  ]);
}

/**
 * A list for a `with` clause whose three parameters, from the given one on, are a claim. Every row that is written has to
 * be joined with it: Postgres leaves out a list that nothing reads.
 */
export function heldReign(firstParameter: number): string {
  const [cluster, release, reign] = [0, 1, 2].map((offset) => `$${firstParameter + offset}`);
  return `reign as (select keystead.hold_reign(${cluster}, ${release}, ${reign}))`;
}

/** What the vault needs of its database. */
export type VaultDatabase = Pick<Database, "query" | "read" | "transaction">;

/** A database whose transactions hold the reign by themselves. A single statement that writes has to do it: `heldReign`. */
export function databaseOf(reign: Reign, database: VaultDatabase): VaultDatabase {
  const reported = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (thrown) {
      reign.failed(thrown);
      throw thrown;
    }
  };
  return {
    read: database.read,
    query: (text, values) => reported(database.query(text, values)),
    transaction: (work) =>
      reported(
        database.transaction(async (transaction) => {
          await transaction.query("select keystead.hold_reign($1, $2, $3)", reign.claim());
          return work(transaction);
        }),
      ),
  };
}
