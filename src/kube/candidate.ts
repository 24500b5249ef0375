import { KeysteadError } from "../errors.ts";
import type { KubeClient } from "./client.ts";
import type { Lease, LeaseAddress, LeaseCallOptions, LeaseSpec } from "./lease.ts";
import { readLease, writeLease } from "./lease.ts";
import { microTime } from "./micro-time.ts";

/** One that wants a lease, or has it, with what it has seen of it. */
export interface Candidate extends LeaseAddress {
  readonly client: KubeClient;
  readonly identity: string;
  readonly leaseDurationMs: number;
  observed: Observed;
}

/** A lease as this process has seen it. Its times are the holder's clock and are never compared with ours. */
interface Observed {
  readonly lease: Lease | undefined;
  /** `performance.now()` of the moment at which this version was first seen. */
  readonly since: number;
}

/**
 * One attempt to take the lease. Resolves with its fence, or with undefined when somebody holds it or was faster.
 *
 * A lease is free when nobody holds it, or when its record did not change for its duration as measured here, from when this
 * process first saw it: the clocks of two machines are never compared.
 */
export async function tryAcquire(candidate: Candidate, call: LeaseCallOptions): Promise<number | undefined> {
  const { client } = candidate;
  const lease = await readLease(client, candidate, call);
  observe(candidate, lease);
  if (lease !== undefined && isHeld(candidate, lease)) return undefined;
  const fence = lease === undefined ? 0 : (lease.spec?.leaseTransitions ?? 0) + 1;
  const spec = { ...specOf(candidate, fence), acquireTime: microTime(Date.now()) };
  const written = await writeLease(client, candidate, lease, spec, call);
  if (written === undefined) return undefined;
  observe(candidate, written);
  return fence;
}

/**
 * One attempt to renew. False when the record was not as expected and still is ours, as after an answer that got lost: to be
 * tried again. A lease that somebody deleted is made again with the same fence. Throws `leadership_lost` when it is another's.
 */
export async function renew(candidate: Candidate, fence: number, call: LeaseCallOptions): Promise<boolean> {
  const { client, identity, name } = candidate;
  const known = candidate.observed.lease;
  const acquireTime = known?.spec?.acquireTime ?? microTime(Date.now());
  const written = await writeLease(client, candidate, known, { ...specOf(candidate, fence), acquireTime }, call);
  if (written !== undefined) {
    observe(candidate, written);
    return true;
  }
  const now = await readLease(client, candidate, call);
  candidate.observed = { lease: now, since: performance.now() };
  if (now === undefined || now.spec?.holderIdentity === identity) return false;
  throw leadershipLost(name, `${now.spec?.holderIdentity || "nobody"} holds it now`);
}

/**
 * Empties the record, so that the next leader begins at once. Looks again when it is not as expected: the last renewal was
 * broken off, and may have taken effect.
 */
export async function release(candidate: Candidate, fence: number, call: LeaseCallOptions): Promise<void> {
  const { client } = candidate;
  const spec = { ...specOf(candidate, fence), holderIdentity: "", leaseDurationSeconds: 1 };
  let known = candidate.observed.lease;
  while (known !== undefined) {
    if ((await writeLease(client, candidate, known, spec, call)) !== undefined) return;
    known = await readLease(client, candidate, call);
    if (known?.spec?.holderIdentity !== candidate.identity) return;
  }
}

/** The error of a leader that is none any more. */
export function leadershipLost(lease: string, why: string, cause?: unknown): KeysteadError {
  const options = cause === undefined ? {} : { cause };
  return new KeysteadError("leadership_lost", `The lease ${lease} was lost: ${why}`, options);
}

/** One that carries our own identity is the trace of an earlier attempt whose answer got lost: taken once more. */
function isHeld(candidate: Candidate, lease: Lease): boolean {
  const { holderIdentity, leaseDurationSeconds } = lease.spec ?? {};
  if (holderIdentity === undefined || holderIdentity === "" || holderIdentity === candidate.identity) return false;
  const durationMs = leaseDurationSeconds === undefined ? candidate.leaseDurationMs : leaseDurationSeconds * 1_000;
  return performance.now() < candidate.observed.since + durationMs;
}

function observe(candidate: Candidate, lease: Lease | undefined): void {
  const known = candidate.observed.lease?.metadata.resourceVersion;
  if (lease !== undefined && lease.metadata.resourceVersion === known) return;
  candidate.observed = { lease, since: performance.now() };
}

function specOf(candidate: Candidate, fence: number): LeaseSpec {
  return {
    holderIdentity: candidate.identity,
    // The API knows whole seconds, and none below one.
    leaseDurationSeconds: Math.max(1, Math.ceil(candidate.leaseDurationMs / 1_000)),
    // For people: no decision is made on it.
    renewTime: microTime(Date.now()),
    leaseTransitions: fence,
  };
}
