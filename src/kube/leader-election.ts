import { asKeysteadError, KeysteadError } from "../errors.ts";
import type { KubeClient } from "./client.ts";
import type { Lease, LeaseAddress } from "./lease.ts";
import { readLease, writeLease } from "./lease.ts";
import type { KubeLog } from "./log.ts";
import { silentLog } from "./log.ts";
import { pauseFor } from "./pause.ts";

export interface CampaignOptions extends LeaseAddress {
  /** Who campaigns: unique for each process, so that a restarted one is somebody else. */
  readonly identity: string;
  /**
   * Leads until `signal` fires. `fence` is the lease's `leaseTransitions`: of two leaders the later has the higher one, as
   * long as nobody deletes the lease.
   */
  lead(fence: number, signal: AbortSignal): Promise<void>;
  /** Ends the campaign: the leader stops leading, and then gives the lease back so that the next need not wait for its end. */
  readonly signal: AbortSignal;
  /** How long others leave a lease alone that is not renewed; 15 s by default. */
  readonly leaseDurationMs?: number;
  /** How long the leader tries to renew before it stops leading; 10 s by default. The difference is the safety margin. */
  readonly renewDeadlineMs?: number;
  /** Time between two attempts; 2 s by default, up to a fifth more for those who wait. */
  readonly retryMs?: number;
  readonly metrics?: LeaderElectionMetrics | undefined;
  readonly log?: KubeLog | undefined;
}

export interface LeaderElectionMetrics {
  /** As controller-runtime's `leader_election_master_status`. */
  leading(lease: string, leads: boolean): void;
}

/** A lease as this process has seen it. Its times are the holder's clock and are never compared with ours. */
interface Observed {
  readonly lease: Lease | undefined;
  /** `performance.now()` of the moment at which this version was first seen. */
  readonly since: number;
}

interface Campaign {
  readonly client: KubeClient;
  readonly options: CampaignOptions;
  readonly leaseDurationMs: number;
  readonly renewDeadlineMs: number;
  readonly retryMs: number;
  observed: Observed;
}

/**
 * Waits for the lease, leads, and resolves when `signal` fired and the lease was given back, or when `lead` ended by itself.
 * Rejects with `leadership_lost` when the lease went to somebody else or could not be renewed in time, after `lead` was told
 * to stop: the process should end, as the simplest way to be sure that nothing of the old reign goes on. Whatever `lead`
 * throws is thrown on.
 *
 * A lease is free when nobody holds it, or when its record did not change for its duration as measured here, from when this
 * process first saw it: clocks of two machines never meet. A leader that was frozen for longer than the lease may still
 * write until it notices: what must not happen twice needs a fence in the database as well.
 */
export async function campaign(client: KubeClient, options: CampaignOptions): Promise<void> {
  const state: Campaign = {
    client,
    options,
    leaseDurationMs: options.leaseDurationMs ?? 15_000,
    renewDeadlineMs: options.renewDeadlineMs ?? 10_000,
    retryMs: options.retryMs ?? 2_000,
    observed: { lease: undefined, since: performance.now() },
  };
  const heldAt = await acquire(state);
  if (heldAt === undefined) return;
  const { log = silentLog, metrics, name } = options;
  const fence = state.observed.lease?.spec?.leaseTransitions ?? 0;
  log.info({ lease: name, fence }, "Leading");
  metrics?.leading(name, true);
  try {
    await reign(state, heldAt, fence);
  } finally {
    metrics?.leading(name, false);
  }
}

/** Resolves with the time before the call that got the lease, or with undefined when the campaign was ended before. */
async function acquire(state: Campaign): Promise<number | undefined> {
  const { signal, name, log = silentLog } = state.options;
  let reported: string | undefined;
  while (!signal.aborted) {
    const startedAt = performance.now();
    try {
      if (await tryAcquire(state)) return startedAt;
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

async function tryAcquire(state: Campaign): Promise<boolean> {
  const { client, options } = state;
  const call = { signal: options.signal, timeoutMs: callTimeoutMs(state) };
  const lease = await readLease(client, options, call);
  observe(state, lease);
  if (lease !== undefined && isHeld(state, lease)) return false;
  const transitions = lease === undefined ? 0 : (lease.spec?.leaseTransitions ?? 0) + 1;
  const now = leaseTime();
  const written = await writeLease(client, options, lease, { ...specOf(state, transitions), acquireTime: now }, call);
  if (written === undefined) return false;
  observe(state, written);
  return true;
}

/** One that carries our own identity is the trace of an earlier attempt whose answer got lost: taken once more. */
function isHeld(state: Campaign, lease: Lease): boolean {
  const { holderIdentity, leaseDurationSeconds } = lease.spec ?? {};
  if (holderIdentity === undefined || holderIdentity === "" || holderIdentity === state.options.identity) return false;
  const durationMs = leaseDurationSeconds === undefined ? state.leaseDurationMs : leaseDurationSeconds * 1_000;
  return performance.now() < state.observed.since + durationMs;
}

function observe(state: Campaign, lease: Lease | undefined): void {
  const known = state.observed.lease?.metadata.resourceVersion;
  if (lease !== undefined && lease.metadata.resourceVersion === known) return;
  state.observed = { lease, since: performance.now() };
}

async function reign(state: Campaign, heldAt: number, fence: number): Promise<void> {
  const { options } = state;
  const stopLeading = new AbortController();
  const stopRenewing = new AbortController();
  const end = (): void => stopLeading.abort(options.signal.reason);
  options.signal.addEventListener("abort", end, { once: true });
  if (options.signal.aborted) end();
  const leading = Promise.try(() => options.lead(fence, stopLeading.signal));
  let lost = false;
  // Renewed while the leader stops, too: until its last write is done nobody else may begin.
  const renewing = keepRenewing(state, heldAt, fence, stopRenewing.signal).catch((error: unknown) => {
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
    if (!lost) await release(state, fence);
  }
}

/** Resolves when `signal` fires; rejects with `leadership_lost`. */
async function keepRenewing(state: Campaign, heldAt: number, fence: number, signal: AbortSignal): Promise<void> {
  const { log = silentLog, name } = state.options;
  let renewedAt = heldAt;
  let cause: unknown;
  while (!signal.aborted) {
    await pauseFor(state.retryMs, signal).catch(() => undefined);
    if (signal.aborted) return;
    const startedAt = performance.now();
    const leftMs = renewedAt + state.renewDeadlineMs - startedAt;
    if (leftMs <= 0) throw leadershipLost(name, "it could not be renewed in time", cause);
    try {
      const call = { signal, timeoutMs: Math.min(leftMs, callTimeoutMs(state)) };
      if (await renew(state, fence, call)) renewedAt = startedAt;
    } catch (thrown) {
      if (signal.aborted) return;
      const error = asKeysteadError(thrown);
      if (error.code === "leadership_lost") throw error;
      log.warn({ err: error, lease: name }, "The lease could not be renewed; trying again until the deadline");
      cause = error;
    }
  }
}

/**
 * One attempt. False when the record was not as expected and still is ours, as after an answer that got lost. A lease that
 * somebody deleted is made again with the same fence.
 */
async function renew(
  state: Campaign,
  fence: number,
  call: { signal: AbortSignal; timeoutMs: number },
): Promise<boolean> {
  const { client, options } = state;
  const known = state.observed.lease;
  const acquireTime = known?.spec?.acquireTime ?? leaseTime();
  const written = await writeLease(client, options, known, { ...specOf(state, fence), acquireTime }, call);
  if (written !== undefined) {
    observe(state, written);
    return true;
  }
  const now = await readLease(client, options, call);
  state.observed = { lease: now, since: performance.now() };
  const holder = now?.spec?.holderIdentity;
  if (now !== undefined && holder !== options.identity) {
    throw leadershipLost(options.name, `${holder === undefined || holder === "" ? "nobody" : holder} holds it now`);
  }
  return false;
}

/** Empties the record, so that the next leader begins at once. A failure costs it only the wait for the end of the lease. */
async function release(state: Campaign, fence: number): Promise<void> {
  const { client, options, observed } = state;
  const { log = silentLog, name } = options;
  const spec = { ...specOf(state, fence), holderIdentity: "", leaseDurationSeconds: 1 };
  try {
    const call = { signal: AbortSignal.timeout(RELEASE_MS), timeoutMs: RELEASE_MS };
    if (observed.lease !== undefined) await writeLease(client, options, observed.lease, spec, call);
    log.info({ lease: name }, "Gave the lease back");
  } catch (error) {
    log.warn({ err: error, lease: name }, "The lease could not be given back; it runs out by itself");
  }
}

/** Of the seconds a process has to end. */
const RELEASE_MS = 2_000;

/** Two attempts fit into the renew deadline, so that one connection gone silent does not cost the lease. */
function callTimeoutMs(state: Campaign): number {
  return state.renewDeadlineMs / 2;
}

function specOf(state: Campaign, transitions: number) {
  return {
    holderIdentity: state.options.identity,
    leaseDurationSeconds: Math.max(1, Math.ceil(state.leaseDurationMs / 1_000)),
    renewTime: leaseTime(),
    leaseTransitions: transitions,
  };
}

/** `metav1.MicroTime`, for people: no decision is made on it. */
function leaseTime(): string {
  return new Date().toISOString().replace("Z", "000Z");
}

function leadershipLost(lease: string, why: string, cause?: unknown): KeysteadError {
  return new KeysteadError(
    "leadership_lost",
    `The lease ${lease} was lost: ${why}`,
    cause === undefined ? {} : { cause },
  );
}
