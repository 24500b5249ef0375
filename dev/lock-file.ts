import { linkSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { randomUUID } from "node:crypto";
import { identify, isRunning, processIdentity } from "./process-identity.ts";
import type { ProcessIdentity } from "./process-identity.ts";
import { parseState, readText } from "./state-file.ts";

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
    // Each round either takes the lock, finds a live owner, or removes one dead owner; two are enough but for a crowd.
    for (let round = 0; round < 10; round++) {
      if (link(candidate, path)) return { lock: { release: () => release(path, own) } };
      const found = readText(path);
      const owner = ownerIn(found);
      if (owner && isRunning(owner)) return { heldBy: owner.pid };
      if (found !== undefined) removeStale(path, found);
    }
    return { heldBy: ownerIn(readText(path))?.pid ?? 0 };
  } finally {
    rmSync(candidate, { force: true });
  }
}

/**
 * Two processes may find the same dead owner. The one that comes second would remove the lock of the first: so the file is
 * moved away first, looked at, and put back when it is not the one that was found dead.
 */
function removeStale(path: string, found: string): void {
  const moved = `${path}.${randomUUID()}`;
  try {
    renameSync(path, moved);
  } catch {
    // Somebody else moved it; the next round sees what is there now.
    return;
  }
  if (readText(moved) !== found) link(moved, path);
  rmSync(moved, { force: true });
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
