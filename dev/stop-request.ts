import { KeysteadError } from "../src/errors.ts";

/** The user's wish that everything ends. */
export interface StopRequest {
  readonly signal: AbortSignal;
  /** Rejects when the wish arrives, never resolves: made to be raced against work. */
  readonly requested: Promise<never>;
}

/** npm's shell may be killed and leave us behind; a look every half second costs nothing. */
const LOOK_AT_PARENT_EVERY_MS = 500;

/** Ctrl-C reaches this process twice, from the terminal and from npm, which passes it on. */
const SAME_REQUEST_MS = 1_000;

/**
 * Hears of SIGINT, SIGTERM and SIGHUP, and of the end of the npm that started this process: who kills `npm start` means all of it. A
 * later signal ends this process at once, and its guardian the rest.
 */
export function stopRequest(env: NodeJS.ProcessEnv = process.env): StopRequest {
  const controller = new AbortController();
  const requested = new Promise<never>((_, reject) => {
    controller.signal.addEventListener("abort", () => reject(new KeysteadError("part_failed", "stopped by request")));
  });
  // Nobody may be racing against it at the moment it rejects.
  requested.catch(() => {});
  let askedAt: number | undefined;
  const ask = (): void => {
    if (askedAt !== undefined && Date.now() - askedAt > SAME_REQUEST_MS) process.exit(1);
    askedAt ??= Date.now();
    controller.abort();
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, ask);
  if (env["npm_lifecycle_event"] === "start") {
    const parent = process.ppid;
    const timer = setInterval(() => {
      if (process.ppid !== parent) controller.abort();
    }, LOOK_AT_PARENT_EVERY_MS);
    timer.unref();
  }
  return { signal: controller.signal, requested };
}
