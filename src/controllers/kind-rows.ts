import { createBatcher } from "../db/batch.ts";

/** Rows of one query: the passes that ask at the same moment share one. */
const DESCRIBE_BATCH = 1_000;

/** The rows of one kind, by the uids of their resources. */
export interface KindRows<State> {
  /** What is stored for the resource now, or was when it was loaded ahead: that is handed out once, to whoever asks first. */
  find(uid: string): Promise<State | undefined>;
  /** Loads many rows with one query. What was loaded two calls ago and not asked for since is dropped. */
  prefetch(uids: readonly string[]): Promise<ReadonlyMap<string, State>>;
  /** Drops what was loaded ahead of one resource, or of all. */
  forget(uid?: string): void;
}

/** `describe` answers any number of uids with one query, and leaves out those for which nothing is stored. */
export function createKindRows<State>(
  describe: (uids: readonly string[]) => Promise<ReadonlyMap<string, State>>,
): KindRows<State> {
  /** The last two loads, newest first: the queue still holds some of the one before when the next is loaded. */
  let loads: readonly Map<string, State | undefined>[] = [];
  const describeOne = createBatcher<string, State | undefined>({
    maxSize: DESCRIBE_BATCH,
    async run(uids) {
      const states = await describe(uids);
      return uids.map((uid) => states.get(uid));
    },
  });
  return {
    find(uid) {
      for (const load of loads) {
        if (!load.has(uid)) continue;
        const state = load.get(uid);
        load.delete(uid);
        return Promise.resolve(state);
      }
      return describeOne(uid);
    },
    async prefetch(uids) {
      const states = await describe(uids);
      loads = [new Map(uids.map((uid) => [uid, states.get(uid)])), ...loads.slice(0, 1)];
      return states;
    },
    forget(uid) {
      if (uid === undefined) loads = [];
      else for (const load of loads) load.delete(uid);
    },
  };
}
