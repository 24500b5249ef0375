import { readFileSync } from "node:fs";

/** A user of this machine, in the form `spawn` takes. */
export interface SystemUser {
  readonly uid: number;
  readonly gid: number;
}

/** uid and gid that Linux and every container image keep for "nobody", also where /etc/passwd does not list it. */
const NOBODY: SystemUser = { uid: 65_534, gid: 65_534 };

/**
 * Whom Postgres runs as: it refuses to run as root, so root takes the system user `postgres` where there is one, else `nobody`.
 * Anybody else runs it as himself: `undefined`.
 */
export function postgresUser(): SystemUser | undefined {
  if (process.getuid?.() !== 0) return undefined;
  return userNamed("postgres") ?? userNamed("nobody") ?? NOBODY;
}

function userNamed(name: string): SystemUser | undefined {
  let passwd: string;
  try {
    passwd = readFileSync("/etc/passwd", "utf8");
  } catch {
    // An image made from scratch has none.
    return undefined;
  }
  const fields = passwd
    .split("\n")
    .find((line) => line.startsWith(`${name}:`))
    ?.split(":");
  const [uid, gid] = [Number(fields?.[2]), Number(fields?.[3])];
  return Number.isInteger(uid) && Number.isInteger(gid) ? { uid, gid } : undefined;
}
