import type { KeysteadError } from "../errors.ts";
import { hasCode } from "../errors.ts";
import type { KubeStream } from "./client.ts";
import type { KindSource } from "./kind-source.ts";
import type { KubeLog } from "./log.ts";
import type { KubeObject, ObjectKey } from "./object.ts";
import { keyOf } from "./object.ts";
import type { ReflectorStore } from "./reflector-store.ts";
import type { ReflectorTiming } from "./reflector-timing.ts";
import type { WatchEvent } from "./watch-stream.ts";
import { readWatch } from "./watch-stream.ts";

/** What is worth counting about a reflector. */
export interface ReflectorMetrics {
  /** A complete state was read; `held` objects of it are kept. */
  listed(kind: string, held: number, seconds: number): void;
  /** A watch ended: `closed` by the server in good order, or with the code of an error. */
  watchEnded(kind: string, reason: string): void;
  /** `type` as in the frame: ADDED, MODIFIED, DELETED, BOOKMARK, UNKNOWN. */
  received(kind: string, type: string): void;
}

/** How a complete state is read: page by page, or as a streaming list. */
export type InitialState = "list" | "watch-list";

/** Where the objects come from and go to. */
export interface PositionOptions<T> {
  readonly source: KindSource;
  readonly store: ReflectorStore<T>;
  readonly timing: ReflectorTiming;
  readonly initialState: InitialState;
  readonly metrics: ReflectorMetrics | undefined;
  readonly log: KubeLog;
  readonly signal: AbortSignal;
  /** A complete state has been delivered. */
  synced(): void;
  /** The server has accepted a watch. */
  opened(): void;
  /** Bytes arrived. */
  progress(): void;
}

/** How far a reflector has come. */
export interface ReflectorPosition {
  /** Reads on until the server closes the watch in good order; rejects with a `kube_*` error on every other ending. */
  advance(): Promise<void>;
  /** Draws the conclusion from an error of `advance`: whether the next one can resume. `failures` in a row, at least 1. */
  failed(error: KeysteadError, failures: number): void;
}

/**
 * The position is a version or none. With one, a watch resumes there, so that an interruption costs no list; without one, the
 * complete state has to be read: at first, when the version is too old (410), and when two attempts in a row met a frame that
 * cannot be read, since resuming would meet it again while a list passes it by.
 */
export function createReflectorPosition<T>(options: PositionOptions<T>): ReflectorPosition {
  const { source, store, timing, metrics, signal } = options;
  let version: string | undefined;
  let streaming = options.initialState === "watch-list";
  let everSynced = false;

  const complete = (seen: ReadonlySet<ObjectKey>, startedAt: number): void => {
    store.retain(seen);
    store.redeliver();
    everSynced = true;
    metrics?.listed(source.name, store.entries.size, (performance.now() - startedAt) / 1_000);
    options.synced();
  };

  /** Applies one object of a complete state. Only what is held is noted: unrelated objects must cost no memory. */
  const applyInitial = (object: KubeObject, seen: Set<ObjectKey>): void => {
    store.apply(object, !everSynced);
    const key = keyOf(object);
    if (store.entries.has(key)) seen.add(key);
  };

  const list = async (): Promise<string> => {
    const startedAt = performance.now();
    const seen = new Set<ObjectKey>();
    const pages = {
      page(objects: KubeObject[], odd: number): void {
        options.progress();
        for (const object of objects) applyInitial(object, seen);
        if (odd > 0) options.log.warn({ kind: source.name, count: odd }, "A list held entries that are no objects");
      },
      restart: () => seen.clear(),
    };
    const listed = await source.list(pages, signal);
    complete(seen, startedAt);
    return listed;
  };

  const follow = (stream: KubeStream, seconds: number, event: (event: WatchEvent) => void): Promise<void> => {
    options.opened();
    const silenceMs = seconds * 1_000 + timing.graceMs;
    const { silenceAfterBookmarkMs } = timing;
    return readWatch(stream, {
      action: source.action,
      silenceMs,
      silenceAfterBookmarkMs,
      event,
      progress: () => options.progress(),
      signal,
    });
  };

  const apply = (event: WatchEvent): void => {
    metrics?.received(source.name, event.type);
    switch (event.type) {
      case "ADDED":
      case "MODIFIED":
        store.apply(event.object, false);
        version = event.object.metadata.resourceVersion;
        break;
      case "DELETED":
        store.remove(event.object);
        version = event.object.metadata.resourceVersion;
        break;
      case "BOOKMARK":
        version = event.resourceVersion;
        store.redeliver();
        break;
      case "UNKNOWN":
        options.log.warn(
          { kind: source.name, type: event.frameType },
          "A watch sent a frame that is no object; skipped",
        );
        break;
    }
  };

  /** The initial events and then the changes, on one stream. Until the marked bookmark there is no version to resume from. */
  const streamingList = async (): Promise<void> => {
    const startedAt = performance.now();
    const seconds = draw(timing.watchSeconds);
    let seen: Set<ObjectKey> | undefined = new Set();
    await follow(await source.watchList(seconds, signal), seconds, (event) => {
      if (seen === undefined || event.type === "UNKNOWN" || event.type === "DELETED") apply(event);
      else if (event.type !== "BOOKMARK") applyInitial(event.object, seen);
      else if (event.initialEventsEnd) {
        complete(seen, startedAt);
        seen = undefined;
        apply(event);
      }
    });
  };

  return {
    async advance() {
      if (version === undefined && streaming) return streamingList();
      version ??= await list();
      const seconds = draw(timing.watchSeconds);
      await follow(await source.watch(version, seconds, signal), seconds, apply);
    },
    failed(error, failures) {
      const unreadable = hasCode(error, "kube_answer_invalid") || hasCode(error, "kube_answer_too_large");
      if (hasCode(error, "kube_expired") || (unreadable && failures > 1)) version = undefined;
      // A server without streaming lists refuses the parameter as invalid.
      if (hasCode(error, "kube_invalid")) streaming = false;
    },
  };
}

function draw([shortest, longest]: readonly [number, number]): number {
  return Math.round(shortest + Math.random() * (longest - shortest));
}
