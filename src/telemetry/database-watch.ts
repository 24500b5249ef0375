import { asKeysteadError } from "../errors.ts";
import type { DatabaseReadiness } from "./readiness.ts";

/** Whom to ask, how often, and who wants to know. */
export interface WatchDatabaseOptions {
  /** One cheap query; must give up by itself within a few seconds. */
  readonly ping: () => Promise<void>;
  readonly readiness: DatabaseReadiness;
  readonly log: { info(fields: object, message: string): void; warn(fields: object, message: string): void };
  readonly intervalMs?: number;
}

/** A twelfth of the outage that readiness forgives: two lost pings never take a replica out. */
const INTERVAL_MS = 5_000;

/** Asks the database now and then, and tells the readiness. Says once that it is gone and once that it is back. */
export function watchDatabase(options: WatchDatabaseOptions): AsyncDisposable {
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  let gone = false;

  const ask = async () => {
    try {
      await options.ping();
      options.readiness.reached();
      if (gone) options.log.info({}, "the database answers again");
      gone = false;
    } catch (error) {
      if (!gone && !stopped) options.log.warn({ error: asKeysteadError(error) }, "the database does not answer");
      gone = true;
    }
    if (!stopped) timer = setTimeout(next, options.intervalMs ?? INTERVAL_MS);
  };
  let asking = Promise.resolve();
  const next = () => {
    asking = ask();
  };
  next();

  return {
    async [Symbol.asyncDispose]() {
      stopped = true;
      clearTimeout(timer);
      await asking;
    },
  };
}
