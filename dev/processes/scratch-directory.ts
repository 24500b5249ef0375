import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { identify, isRunning, processIdentity } from "./process-identity.ts";
import { endLeftovers } from "./process-record.ts";
import { readState } from "../state-file.ts";

/**
 * A folder for this process alone, below one that all of a user's runs share. What earlier runs left there is ended and
 * removed first: normally nothing, but a run whose guardian was killed too could not clean up after itself.
 */
export async function makeScratchDirectory(): Promise<string> {
  const parent = join(tmpdir(), `keystead-runs-${process.getuid?.() ?? "user"}`);
  mkdirSync(parent, { recursive: true, mode: 0o700 });
  for (const name of readdirSync(parent)) {
    const directory = join(parent, name);
    if (ownerRuns(directory)) continue;
    await endLeftovers(directory);
    rmSync(directory, { recursive: true, force: true });
  }
  const directory = mkdtempSync(join(parent, "run-"));
  writeFileSync(join(directory, "owner.json"), JSON.stringify(identify(process.pid)));
  return directory;
}

function ownerRuns(directory: string): boolean {
  const owner = readState(join(directory, "owner.json"), processIdentity);
  // No owner: a run that writes it in the next instant, or one that was killed before it could.
  return owner ? isRunning(owner) : isYoung(directory);
}

/** A run writes its owner within a millisecond; a minute is far beyond any pause in between. */
function isYoung(directory: string): boolean {
  return Date.now() - (statSync(directory, { throwIfNoEntry: false })?.mtimeMs ?? 0) < 60_000;
}
