import type { KeysteadError } from "../errors.ts";
import { asKeysteadError, hasCode } from "../errors.ts";
import { apiErrorDetails } from "./api-error.ts";
import { fullJitter } from "./backoff.ts";
import type { KubeLog } from "./log.ts";
import { pauseFor } from "./pause.ts";
import type { ReflectorPosition } from "./reflector-position.ts";
import type { ReflectorTiming } from "./reflector-timing.ts";

/** What the loop turns, and whom it tells. */
export interface ReflectorLoopOptions {
  /** Name of the kind, for messages. */
  readonly kind: string;
  readonly position: ReflectorPosition;
  readonly timing: ReflectorTiming;
  readonly log: KubeLog;
  readonly signal: AbortSignal;
  /** An attempt begins. */
  progress(): void;
  /** A watch ended: `closed`, or with the code of an error. */
  ended(reason: string): void;
}

/** The part of a reflector that never gives up. */
export interface ReflectorLoop {
  /** Reads on and begins again whatever happens, until the signal fires. Never rejects. */
  run(): Promise<void>;
  /** To be told that the server accepted a watch. */
  opened(): void;
  /** See `Reflector`. */
  outageMs(now: number): number;
}

/** A missing CRD is about to be installed more often than not: asked for again soon, as it costs next to nothing. */
const MISSING_KIND_CAP_MS = 5_000;

/** Failures in a row before a person hears of it; a connection that breaks now and then is daily life. */
const QUIET_FAILURES = 2;

/** What another attempt alone does not mend: reported at the first time. */
const NEEDS_A_PERSON: ReadonlySet<string> = new Set(["kube_not_found", "kube_forbidden", "kube_unauthorized"]);

/** Begins with `run`. One line is logged when trouble begins or changes its nature, and one when it is over. */
export function createReflectorLoop(options: ReflectorLoopOptions): ReflectorLoop {
  const { kind, position, timing, log, signal } = options;
  let failures = 0;
  /** Code of the trouble a line was written about: one when it begins or changes its nature, none for each attempt. */
  let reported: string | undefined;
  /** `performance.now()` of the first failure since a watch was open; at first of the beginning. */
  let brokenSince: number | undefined = performance.now();

  const report = (error: KeysteadError): void => {
    const quiet = failures <= QUIET_FAILURES && !NEEDS_A_PERSON.has(error.code);
    if (quiet || error.code === reported) return;
    reported = error.code;
    log.warn(
      { err: error, kind },
      `Cannot watch ${kind}${explain(error)}; trying again with back-off, other kinds go on`,
    );
  };

  /** One stretch; resolves with the wait before the next. */
  const turn = async (): Promise<number> => {
    const startedAt = performance.now();
    options.progress();
    try {
      await position.advance();
      options.ended("closed");
      failures = 0;
      return Math.max(0, timing.reopenMs - (performance.now() - startedAt));
    } catch (thrown) {
      const error = asKeysteadError(thrown);
      if (signal.aborted) return 0;
      failures = performance.now() - startedAt >= timing.healthyMs ? 1 : failures + 1;
      brokenSince ??= performance.now();
      position.failed(error, failures);
      options.ended(error.code);
      report(error);
      return backoffOf(error, failures, timing);
    }
  };

  return {
    async run() {
      while (!signal.aborted) {
        const delayMs = await turn();
        // Rejects only when the signal fires, which the loop sees next.
        await pauseFor(delayMs, signal).catch(() => undefined);
      }
    },
    opened() {
      if (reported !== undefined) log.info({ kind }, `Watching ${kind} again`);
      reported = undefined;
      brokenSince = undefined;
    },
    outageMs: (now) => (brokenSince === undefined ? 0 : now - brokenSince),
  };
}

/** As the server asks, within the cap: a balancer that says an hour may be broken for ten seconds. */
function backoffOf(error: KeysteadError, failures: number, timing: ReflectorTiming): number {
  const { backoffMs, backoffCapMs } = timing;
  const cap = hasCode(error, "kube_not_found") ? Math.min(MISSING_KIND_CAP_MS, backoffCapMs) : backoffCapMs;
  const asked = (apiErrorDetails(error)?.retryAfterSeconds ?? 0) * 1_000;
  return Math.max(Math.min(asked, cap), fullJitter(failures, backoffMs, cap));
}

function explain(error: KeysteadError): string {
  if (error.code === "kube_not_found")
    return ": the API server does not know it, is its CustomResourceDefinition installed?";
  if (error.code === "kube_forbidden") return ": this identity may not list and watch it, is its role bound?";
  return "";
}
