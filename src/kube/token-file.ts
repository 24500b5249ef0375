import { readFileSync } from "node:fs";
import { KeysteadError } from "../errors.ts";

/** Source of the `Authorization` header. */
export interface Bearer {
  /**
   * The header's value for a call at `now` (`performance.now()` milliseconds). `renew` asks for a new one because the API
   * server refused the last. A promise only where another program has to be asked.
   */
  authorization(now: number, renew: boolean): string | undefined | Promise<string | undefined>;
}

/** Kubelets replace a projected token long before it ends; re-reading it each minute is what Go's client does. */
const REREAD_MS = 60_000;

/**
 * Bearer token in a file that somebody else replaces. Read synchronously: it is a few hundred bytes on a memory file system,
 * once a minute, and keeps the promise out of every other call. A read that fails later keeps the token known so far, which
 * the API server judges; the first read must succeed.
 */
export function tokenFile(path: string): Bearer {
  let header: string | undefined;
  let readAt = Number.NEGATIVE_INFINITY;
  return {
    authorization(now, renew) {
      if (header === undefined || renew || now - readAt >= REREAD_MS) {
        header = readHeader(path, header);
        readAt = now;
      }
      return header;
    },
  };
}

/** A token that never changes. */
export function fixedToken(token: string): Bearer {
  const header = `Bearer ${token}`;
  return { authorization: () => header };
}

function readHeader(path: string, known: string | undefined): string {
  try {
    const token = readFileSync(path, "utf8").trim();
    if (token !== "") return `Bearer ${token}`;
    if (known !== undefined) return known;
  } catch (cause) {
    if (known !== undefined) return known;
    throw new KeysteadError("kube_identity_invalid", `The token file ${path} cannot be read`, { cause });
  }
  throw new KeysteadError("kube_identity_invalid", `The token file ${path} is empty`);
}
