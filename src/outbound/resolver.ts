import { Resolver } from "node:dns/promises";
import { readFile } from "node:fs/promises";
import { isIP } from "node:net";
import { codeOf } from "./failures.ts";
import { addressesIn, candidates, searchRules } from "./resolver-files.ts";

/** Gives every address of a host name. Rejects as `Resolver.resolve4` does, or when the signal fires. */
export type Resolve = (hostname: string, signal: AbortSignal) => Promise<readonly string[]>;

/** Where a resolver looks; for tests. */
export interface ResolverOptions {
  /** Default: those of `/etc/resolv.conf`. */
  readonly servers?: readonly string[];
  /** Default: `/etc/hosts`. */
  readonly hostsFile?: string;
  /** Default: `/etc/resolv.conf`. */
  readonly searchFile?: string;
}

/** Until a question is sent again; doubled each time, so that a look-up ends within 14 s where nobody answers. */
const FIRST_TIMEOUT_MS = 2_000;
const TRIES = 3;

/** The name, or an address of that kind, is not there; or the servers of one zone fail, which another name need not lie in. */
const GOES_ON = new Set(["ENOTFOUND", "ENODATA", "ESERVFAIL"]);

/**
 * Looks names up as the system does, `/etc/hosts` first and search domains included, but by questions of its own: the
 * system's way (getaddrinfo) keeps a thread for each look-up, and libuv gives it two of its four. Two names of a zone
 * whose servers do not answer would stop all others. Both files are read each time: a look-up comes with a new connection
 * only.
 */
export function createResolver(options: ResolverOptions = {}): Resolve {
  const { servers, hostsFile = "/etc/hosts", searchFile = "/etc/resolv.conf" } = options;
  return async (hostname, signal) => {
    const known = addressesIn(await readIfThere(hostsFile), hostname).filter((address) => isIP(address) !== 0);
    if (known.length > 0) return known;
    const rules = searchRules(await readIfThere(searchFile));
    signal.throwIfAborted();
    // One for each look-up: it can be cancelled alone, and asks the servers of today.
    const resolver = new Resolver({ timeout: FIRST_TIMEOUT_MS, tries: TRIES });
    if (servers) resolver.setServers(servers);
    const cancel = (): void => resolver.cancel();
    signal.addEventListener("abort", cancel, { once: true });
    try {
      return await firstFound(resolver, candidates(hostname, rules));
    } finally {
      signal.removeEventListener("abort", cancel);
    }
  };
}

/** The addresses of the first name that has some. */
async function firstFound(resolver: Resolver, [name = "", ...others]: readonly string[]): Promise<readonly string[]> {
  const answers = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)]);
  const addresses = answers.flatMap((answer) => (answer.status === "fulfilled" ? answer.value : []));
  if (addresses.length > 0) return addresses;
  const failures = answers.flatMap((answer) => (answer.status === "rejected" ? [answer.reason as unknown] : []));
  const grave = failures.find((failure) => !GOES_ON.has(codeOf(failure) ?? ""));
  if (grave === undefined && others.length > 0) return firstFound(resolver, others);
  throw grave ?? failures[0];
}

async function readIfThere(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch {
    // A container without one has no names of its own and no search domains.
    return "";
  }
}
