/** Whether a probe passes; the reason is a sentence for whoever runs `curl` or reads the kubelet's event. */
export type Verdict = { readonly ok: true } | { readonly ok: false; readonly reason: string };

/**
 * How long a process stays ready without its database, or a controller without the API server: a failover of Postgres takes 10 to 60 s, and taking every
 * replica out of the Service at once would turn answers of 503 with `Retry-After` into refused connections.
 */
export const OUTAGE_GRACE_MS = 60_000;

/** Readiness of a process that serves from the database. Decides only; `watchDatabase` feeds it. */
export interface DatabaseReadiness {
  /** The encryption key was proven against the database: from now on the process may be ready. */
  proven(): void;
  /** The database answered just now. */
  reached(): void;
  /** The process is about to end: not ready from now on, so that no new request is routed here. */
  draining(): void;
  verdict(): Verdict;
}

/**
 *     starting ── proven ──> ready <── reached ──┐
 *                              └── 60 s silence ─┴─> not ready        draining: not ready, for good
 *
 * `now` counts milliseconds and never goes back: a clock that is set must not end an outage or begin one.
 */
export function createDatabaseReadiness(now: () => number = () => performance.now()): DatabaseReadiness {
  let keyProven = false;
  let drained = false;
  let reachedAt = Number.NEGATIVE_INFINITY;
  return {
    proven() {
      keyProven = true;
      reachedAt = now();
    },
    reached() {
      reachedAt = now();
    },
    draining() {
      drained = true;
    },
    verdict() {
      if (drained) return { ok: false, reason: "the process is shutting down" };
      if (!keyProven) return { ok: false, reason: "the encryption key has not been proven against the database yet" };
      if (now() - reachedAt > OUTAGE_GRACE_MS) {
        return { ok: false, reason: `the database has not answered for more than ${OUTAGE_GRACE_MS / 1_000} s` };
      }
      return { ok: true };
    },
  };
}
