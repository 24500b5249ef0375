import { asKeysteadError, hasCode, type KeysteadError } from "../errors.ts";
import { endExpiredKeys } from "../vault/end-expired-keys.ts";
import {
  countUpcomingPurges,
  findPurgeable,
  FIRST_PAGE,
  type PurgeablePage,
  type UpcomingPurges,
} from "../vault/find-purgeable.ts";
import type { Actor } from "../vault/owner.ts";
import type { PurgedKind, PurgeOptions, Purges } from "../vault/purge-connections.ts";
import { purgeEnvironment } from "../vault/purge-environment.ts";
import type { WorkerOptions } from "./worker.ts";

/** Numbers of the purges of a process. */
export interface PurgeMetrics {
  purged(kind: PurgedKind, rows: number): void;
  upcoming(counts: UpcomingPurges): void;
}

/** Retentions are of an hour and more, so that five minutes are little; an idle database is asked two questions then. */
const INTERVAL_MS = 300_000;

/**
 * While it purges, every second of its work is followed by four in which the disk and the processor belong to others: with
 * half of the time a million rows made the p99 of reads beside them three times as long (bench/purge.ts).
 */
const SHARE = 0.2;

/** Passes of one turn: each finds what somebody held during the one before, and the one that finds nothing is the last. */
const PASSES = 5;

const ACTOR: Actor = { kind: "system", name: "purger" };

/**
 * Removes for good what was soft-deleted longer ago than its environment's retention, and keys whose end has come, in any
 * number of processes at once: each skips the rows that another has. It reads no clock but the database's, and remembers
 * nothing: what a turn leaves behind, because it was broken off or a row was locked all the time, is due in the next.
 */
export function createPurger(vault: Purges, metrics: PurgeMetrics): Pick<WorkerOptions, "name" | "intervalMs" | "run"> {
  return {
    name: "purger",
    intervalMs: INTERVAL_MS,
    async run(signal) {
      const options: PurgeOptions = {
        actor: ACTOR,
        pace: { signal, share: SHARE },
        locked: "skip",
        purged: (kind, rows) => metrics.purged(kind, rows),
      };
      metrics.upcoming(await countUpcomingPurges(vault));
      let pass = await passOver(vault, options);
      for (let passes = 1; pass.found && !pass.failure && passes < PASSES && !signal.aborted; passes += 1) {
        pass = await passOver(vault, options);
      }
      // Last, so that a key that cannot be erased keeps nothing else.
      if (!signal.aborted) await endExpiredKeys(vault, ACTOR);
      if (pass.failure) throw pass.failure;
    },
  };
}

/** Purges what is due and nobody holds. */
async function passOver(
  vault: Purges,
  options: PurgeOptions,
): Promise<{ readonly found: boolean; readonly failure: KeysteadError | undefined }> {
  let found = false;
  let failure: KeysteadError | undefined;
  let after: string | undefined = FIRST_PAGE;
  while (after !== undefined && !options.pace.signal.aborted) {
    const page: PurgeablePage = await findPurgeable(vault, after);
    found ||= page.environmentIds.length > 0;
    failure = (await purgePage(vault, page, options)) ?? failure;
    after = page.next;
  }
  return { found, failure };
}

/** The last failure of one environment, which keeps none of the others. Throws where they would fail as well. */
async function purgePage(
  vault: Purges,
  { environmentIds }: PurgeablePage,
  options: PurgeOptions,
): Promise<KeysteadError | undefined> {
  let failure: KeysteadError | undefined;
  for (const environmentId of environmentIds) {
    if (options.pace.signal.aborted) break;
    try {
      await purgeEnvironment(vault, environmentId, options);
    } catch (thrown) {
      if (hasCode(thrown, "database_unavailable")) throw thrown;
      failure = asKeysteadError(thrown);
    }
  }
  return failure;
}
