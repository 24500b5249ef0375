import { linkSync, rmSync, statSync, writeFileSync } from "node:fs";
import { randomUUID } from "node:crypto";
import { identify, isRunning, processIdentity } from "./process-identity.ts";
import type { ProcessIdentity } from "./process-identity.ts";
import { parseState, readText } from "../state-file.ts";

/** A lock that this process holds until `release`, or until it ends in whatever way. */
export interface Lock {
  release(): void;
}

/** Either the lock, or the process that holds it. */
export type LockAttempt = { readonly lock: Lock } | { readonly heldBy: number };

/**
 * Takes the lock file, also when the one who left it there has died. The file appears complete (hard link), so nobody
 * ever reads half an owner. Node has no kernel lock on files, which is why the owner's pid and start time decide.
 */
export function tryLock(path: string): LockAttempt {
  const own = JSON.stringify(identify(process.pid));
  const candidate = `${path}.${randomUUID()}`;
  writeFileSync(candidate, own, { mode: 0o600 });
  try {
    for (let round = 0; ; round++) {
      if (link(candidate, path)) return { lock: { release: () => release(path, own) } };
      const found = readText(path);
      const owner = ownerIn(found);
      if (owner && (isRunning(owner) || round === MAX_ROUNDS)) return { heldBy: owner.pid };
      if (found !== undefined) removeStale(path, found, candidate);
    }
  } finally {
    rmSync(candidate, { force: true });
  }
}

/** Rounds in which others are busy removing the same dead owner, 1 ms each; one of them has the lock by then. */
const MAX_ROUNDS = 1_000;

/** Removing takes well under a millisecond; one that takes longer was killed in the middle of it. */
const TAKEOVER_DEADLINE_MS = 10_000;

/**
 * Two processes may find the same dead owner, and the one that comes second must not remove the lock that the first has
 * taken since. So only who holds the takeover file removes, and looks again before it does.
 */
function removeStale(path: string, found: string, candidate: string): void {
  const takeover = `${path}.takeover`;
  if (!link(candidate, takeover)) {
    const madeAt = statSync(takeover, { throwIfNoEntry: false })?.ctimeMs ?? Date.now();
    if (Date.now() - madeAt > TAKEOVER_DEADLINE_MS) rmSync(takeover, { force: true });
    // The caller is synchronous, so that nothing of the same process can come in between.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    return;
  }
  if (readText(path) === found) rmSync(path, { force: true });
  rmSync(takeover, { force: true });
}

function release(path: string, own: string): void {
  if (readText(path) === own) rmSync(path, { force: true });
}

function link(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EEXIST") return false;
    throw error;
  }
}

function ownerIn(text: string | undefined): ProcessIdentity | undefined {
  return text === undefined ? undefined : parseState(text, processIdentity);
}
