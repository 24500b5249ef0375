import { asKeysteadError } from "../errors.ts";
import type { Candidate } from "./candidate.ts";
import { leadershipLost, release, renew, tryAcquire } from "./candidate.ts";
import type { KubeClient } from "./client.ts";
import type { LeaseAddress } from "./lease.ts";
import type { KubeLog } from "./log.ts";
import { silentLog } from "./log.ts";
import { pauseFor } from "./pause.ts";

/** For which lease, and what to do once it is held. Of the times each must be clearly longer than the next: lease, deadline, retry. */
export interface CampaignOptions extends LeaseAddress {
  /** Who campaigns: unique for each process, so that a restarted one is somebody else. */
  readonly identity: string;
  /** Leads until `signal` fires. */
  lead(signal: AbortSignal): Promise<void>;
  /** Ends the campaign: the leader stops leading, and then gives the lease back so that the next need not wait for its end. */
  readonly signal: AbortSignal;
  /** How long others leave a lease alone that is not renewed; 15 s by default. */
  readonly leaseDurationMs?: number;
  /** How long the leader tries to renew before it stops leading; 10 s by default. The difference is the safety margin. */
  readonly renewDeadlineMs?: number;
  /** Time between two attempts; 2 s by default, up to a fifth more for those who wait. */
  readonly retryMs?: number;
  /** Called each time the API server says who holds the lease: without it nobody knows whether anybody leads. */
  readonly answered?: (() => void) | undefined;
  readonly metrics?: LeaderElectionMetrics | undefined;
  readonly log?: KubeLog | undefined;
}

/** What is worth counting about an election. */
export interface LeaderElectionMetrics {
  /** As controller-runtime's `leader_election_master_status`. */
  leading(lease: string, leads: boolean): void;
}

interface Campaign {
  readonly candidate: Candidate;
  readonly options: CampaignOptions;
  readonly log: KubeLog;
  readonly retryMs: number;
  readonly renewDeadlineMs: number;
  /** Of one call: two fit into the deadline, so that one connection gone silent does not cost the lease. */
  readonly callTimeoutMs: number;
}

/** A lease that was got, and the `performance.now()` before the call that got it. */
interface Held {
  readonly fence: number;
  readonly at: number;
}

/** For giving back: it comes after the leader's last write, for which a process takes most of its time to end. */
const RELEASE_MS = 2_000;

/**
 * Waits for the lease, leads, and resolves when `signal` fired and the lease was given back, or when `lead` ended by itself.
 * Rejects with `leadership_lost` when the lease went to somebody else or could not be renewed in time, after `lead` was told
 * to stop: the process should end, as the simplest way to be sure that nothing of the old reign goes on. Whatever `lead`
 * throws is thrown on.
 *
 * A leader that was frozen for longer than the lease lasts may still write until it notices: what must not happen twice or out
 * of order needs a fence where it is written (vault/reign.ts).
 */
export async function campaign(client: KubeClient, options: CampaignOptions): Promise<void> {
  const { namespace, name, identity, leaseDurationMs = 15_000, renewDeadlineMs = 10_000, retryMs = 2_000 } = options;
  const observed = { lease: undefined, since: performance.now() };
  const state: Campaign = {
    candidate: { client, namespace, name, identity, leaseDurationMs, observed },
    options,
    log: options.log ?? silentLog,
    retryMs,
    renewDeadlineMs,
    callTimeoutMs: renewDeadlineMs / 2,
  };
  const held = await acquire(state);
  if (held === undefined) return;
  state.log.info({ lease: name, fence: held.fence }, "Leading");
  options.metrics?.leading(name, true);
  try {
    await reign(state, held);
  } finally {
    options.metrics?.leading(name, false);
  }
}

/** Resolves with undefined when the campaign was ended before it got the lease. */
async function acquire(state: Campaign): Promise<Held | undefined> {
  const { candidate, log } = state;
  const { signal, name } = state.options;
  let reported: string | undefined;
  while (!signal.aborted) {
    const at = performance.now();
    try {
      const fence = await tryAcquire(candidate, { signal, timeoutMs: state.callTimeoutMs });
      state.options.answered?.();
      if (fence !== undefined) return { fence, at };
      reported = undefined;
    } catch (thrown) {
      const error = asKeysteadError(thrown);
      if (signal.aborted) return undefined;
      if (error.code !== reported) log.warn({ err: error, lease: name }, "Cannot get at the lease; trying again");
      reported = error.code;
    }
    // Rejects only when the signal fires, which the loop sees next.
    await pauseFor(state.retryMs * (1 + Math.random() / 5), signal).catch(() => undefined);
  }
  return undefined;
}

async function reign(state: Campaign, held: Held): Promise<void> {
  const { options } = state;
  const stopLeading = new AbortController();
  const stopRenewing = new AbortController();
  const end = (): void => stopLeading.abort(options.signal.reason);
  options.signal.addEventListener("abort", end, { once: true });
  if (options.signal.aborted) end();
  const leading = Promise.try(() => options.lead(stopLeading.signal));
  let lost = false;
  // Renewed while the leader stops, too: until its last write is done nobody else may begin.
  const renewing = keepRenewing(state, held, stopRenewing.signal).catch((error: unknown) => {
    lost = true;
    stopLeading.abort(error);
    throw error;
  });
  try {
    await Promise.race([leading, renewing]);
  } finally {
    stopRenewing.abort();
    options.signal.removeEventListener("abort", end);
    // The loser of the race has nobody left to tell.
    leading.catch(() => undefined);
    await Promise.allSettled([renewing]);
    if (!lost) await giveBack(state, held);
  }
}

/** Resolves when `signal` fires; rejects with `leadership_lost`. */
async function keepRenewing(state: Campaign, { fence, at }: Held, signal: AbortSignal): Promise<void> {
  const { log, candidate } = state;
  const { name } = candidate;
  let renewedAt = at;
  let cause: unknown;
  for (;;) {
    const deadlineAt = renewedAt + state.renewDeadlineMs;
    // Rejects only when the signal fires, which is looked at next.
    await pauseFor(Math.min(state.retryMs, deadlineAt - performance.now()), signal).catch(() => undefined);
    if (signal.aborted) return;
    const startedAt = performance.now();
    const leftMs = deadlineAt - startedAt;
    if (leftMs <= 0) throw leadershipLost(name, "it could not be renewed in time", cause);
    try {
      const timeoutMs = Math.min(leftMs, state.callTimeoutMs);
      if (await renew(candidate, fence, { signal, timeoutMs })) renewedAt = startedAt;
      state.options.answered?.();
    } catch (thrown) {
      if (signal.aborted) return;
      const error = asKeysteadError(thrown);
      if (error.code === "leadership_lost") throw error;
      log.warn({ err: error, lease: name }, "The lease could not be renewed; trying again until the deadline");
      cause = error;
    }
  }
}

/** A failure costs the next leader the wait for the end of the lease, and nobody anything else. */
async function giveBack({ candidate, log }: Campaign, { fence }: Held): Promise<void> {
  const { name } = candidate;
  try {
    await release(candidate, fence, { signal: AbortSignal.timeout(RELEASE_MS), timeoutMs: RELEASE_MS });
    log.info({ lease: name }, "Gave the lease back");
  } catch (error) {
    log.warn({ err: error, lease: name }, "The lease could not be given back; it runs out by itself");
  }
}
