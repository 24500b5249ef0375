import { aborted } from "./call-slots.ts";
import type { KubeClient } from "./client.ts";
import type { KindSelection } from "./kind-source.ts";
import { createKindSource } from "./kind-source.ts";
import type { KubeLog } from "./log.ts";
import { silentLog } from "./log.ts";
import type { KubeObject, ObjectKey } from "./object.ts";
import { createReflectorLoop } from "./reflector-loop.ts";
import type { InitialState, ReflectorMetrics } from "./reflector-position.ts";
import { createReflectorPosition } from "./reflector-position.ts";
import type { ReflectorHandler } from "./reflector-store.ts";
import { createReflectorStore } from "./reflector-store.ts";
import type { ReflectorTiming } from "./reflector-timing.ts";
import { longestQuietMs, REFLECTOR_TIMING } from "./reflector-timing.ts";

/** Which objects are followed, what is held of them, and who hears of it. */
export interface ReflectorOptions<T> extends KindSelection {
  readonly client: KubeClient;
  /**
   * What is held of an object; undefined when nothing is, which for one that was held means deleted. Runs for every object of
   * every list and event: cheap, and without side effects.
   */
  keep(object: KubeObject): T | undefined;
  readonly handler: ReflectorHandler<T>;
  readonly initialState?: InitialState;
  readonly metrics?: ReflectorMetrics | undefined;
  readonly log?: KubeLog | undefined;
  readonly timing?: Partial<ReflectorTiming>;
}

/** `reason` is there when not ok. */
export interface ReflectorHealth {
  readonly ok: boolean;
  readonly reason?: string;
}

/** The objects of one kind, kept up to date. */
export interface Reflector<T> extends AsyncDisposable {
  get(key: ObjectKey): T | undefined;
  keys(): MapIterator<ObjectKey>;
  values(): Generator<T, void>;
  readonly size: number;
  /**
   * Holds an object that the watch went past before `keep` wanted it, so that its deletion is heard of. The caller must
   * have read it after the last notice about it, and it counts only if no state of it is known.
   */
  adopt(object: KubeObject): void;
  /** Resolves when the first state is complete and delivered. Rejects with `kube_call_aborted` when the reflector ends before. */
  readonly synced: Promise<void>;
  readonly isSynced: boolean;
  /**
   * Whether the loop still turns, at `now` (`performance.now()` milliseconds). An API server that is away is no reason for a
   * restart: not ok means that neither bytes nor attempts were seen for longer than any of them may take.
   */
  health(now: number): ReflectorHealth;
  /**
   * Milliseconds at `now` since a watch was last open, or since the beginning; 0 while one is. Whatever happened in this time
   * is not known here. A connection that died without a word counts as open until that is noticed.
   */
  outageMs(now: number): number;
}

/**
 * Starts to follow a kind, and goes on through every failure until it is disposed. Events of one object arrive in order;
 * handlers run one at a time, between two frames. Disposing waits until no handler can run any more.
 */
export function startReflector<T>(options: ReflectorOptions<T>): Reflector<T> {
  const { metrics } = options;
  const log = options.log ?? silentLog;
  const timing = { ...REFLECTOR_TIMING, ...options.timing };
  const source = createKindSource(options.client, options);
  const store = createReflectorStore((object) => options.keep(object), options.handler, log);
  const stop = new AbortController();
  const { signal } = stop;
  const synced = Promise.withResolvers<void>();
  // Nobody has to wait for it.
  synced.promise.catch(() => undefined);
  let isSynced = false;
  let progressAt = performance.now();

  const progress = (): void => {
    progressAt = performance.now();
  };
  const position = createReflectorPosition({
    source,
    store,
    timing,
    initialState: options.initialState ?? "list",
    metrics,
    log,
    signal,
    synced: () => {
      isSynced = true;
      synced.resolve();
      options.handler.listed?.();
    },
    opened: () => loop.opened(),
    progress,
  });
  const ended = (reason: string): void => metrics?.watchEnded(source.name, reason);
  const loop = createReflectorLoop({ kind: source.name, position, timing, log, signal, progress, ended });
  const running = loop.run();

  return {
    get: (key) => store.entries.get(key)?.value,
    keys: () => store.entries.keys(),
    *values() {
      for (const entry of store.entries.values()) yield entry.value;
    },
    get size() {
      return store.entries.size;
    },
    adopt: (object) => store.adopt(object),
    synced: synced.promise,
    get isSynced() {
      return isSynced;
    },
    health(now) {
      const quietMs = now - progressAt;
      if (quietMs <= longestQuietMs(timing)) return { ok: true };
      return { ok: false, reason: `the watch of ${source.name} has not moved for ${Math.round(quietMs / 1_000)} s` };
    },
    outageMs: (now) => loop.outageMs(now),
    async [Symbol.asyncDispose]() {
      stop.abort();
      synced.reject(aborted(signal));
      await running;
    },
  };
}
