import { KeysteadError } from "../errors.ts";
import { watchError } from "./api-error.ts";
import type { KubeStream } from "./client.ts";
import { createFrameSplitter } from "./frame-splitter.ts";
import type { KubeObject } from "./object.ts";
import { isKubeObject } from "./object.ts";

/** What a frame says. */
export type WatchEvent =
  | { readonly type: "ADDED" | "MODIFIED" | "DELETED"; readonly object: KubeObject }
  /** Nothing older than this version is still to come. */
  | { readonly type: "BOOKMARK"; readonly resourceVersion: string; readonly initialEventsEnd: boolean }
  /** A frame of a kind or shape that nobody here knows; skipped, so that one odd object does not stop the others. */
  | { readonly type: "UNKNOWN"; readonly frameType: string };

/** Who hears of the events, and how long silence may last. */
export interface WatchReadOptions {
  /** Names the watch in errors. */
  readonly action: string;
  /** Silence after which the connection counts as dead. */
  readonly silenceMs: number;
  /** The same once a bookmark has been seen: the server sends one about each minute, so silence says more. */
  readonly silenceAfterBookmarkMs: number;
  /** Called for every event, in order. Must not throw. */
  event(event: WatchEvent): void;
  /** Bytes arrived. */
  progress(): void;
  /** Ends the reading with `kube_unreachable`. */
  readonly signal: AbortSignal;
}

/** Of one object with everything around it; etcd holds none over 1.5 MiB, which JSON can escape to a few times as much. */
const MAX_FRAME_BYTES = 8 * 1024 * 1024;

/**
 * Reads a watch until the server ends it. Every other ending is an error:
 * `kube_timeout` (silent for too long), `kube_unreachable` (connection broke), `kube_answer_invalid` (a frame broke off or
 * is not JSON), or what an ERROR frame stands for, `kube_expired` above all. All events before it have been delivered.
 */
export async function readWatch(stream: KubeStream, options: WatchReadOptions): Promise<void> {
  const { action } = options;
  const splitter = createFrameSplitter(MAX_FRAME_BYTES);
  const close = (): void => stream.destroy();
  const watchdog = startWatchdog(options.silenceMs, close);
  options.signal.addEventListener("abort", close, { once: true });
  if (options.signal.aborted) close();
  try {
    for await (const chunk of stream) {
      watchdog.heard();
      options.progress();
      for (const line of splitter.push(chunk)) {
        const event = parseFrame(action, line);
        if (event.type === "BOOKMARK") watchdog.tighten(options.silenceAfterBookmarkMs);
        options.event(event);
      }
    }
  } catch (thrown) {
    if (watchdog.fired()) throw silent(action);
    if (thrown instanceof KeysteadError) throw thrown;
    throw new KeysteadError("kube_unreachable", `${action} broke off`, { cause: thrown });
  } finally {
    watchdog.stop();
    options.signal.removeEventListener("abort", close);
    stream.destroy();
  }
  if (watchdog.fired()) throw silent(action);
  if (splitter.pendingBytes() > 0) {
    throw new KeysteadError("kube_answer_invalid", `${action} ended in the middle of a frame`);
  }
}

function silent(action: string): KeysteadError {
  return new KeysteadError("kube_timeout", `${action} was silent for too long and was closed`);
}

function parseFrame(action: string, line: string): WatchEvent {
  let frame: unknown;
  try {
    frame = JSON.parse(line);
  } catch {
    // The parser's error quotes the text around the fault, which may be a Secret's data: it is not kept.
    throw new KeysteadError(
      "kube_answer_invalid",
      `${action} sent a frame of ${line.length} characters that is not JSON`,
    );
  }
  if (typeof frame !== "object" || frame === null || !("type" in frame) || !("object" in frame)) {
    return { type: "UNKNOWN", frameType: "none" };
  }
  const { type, object } = frame;
  switch (type) {
    case "ADDED":
    case "MODIFIED":
    case "DELETED":
      return isKubeObject(object) ? { type, object } : { type: "UNKNOWN", frameType: type };
    case "BOOKMARK":
      return parseBookmark(object);
    case "ERROR":
      throw watchError(action, object);
    default:
      return { type: "UNKNOWN", frameType: String(type) };
  }
}

/** Marks the end of the initial events of a streaming list (KEP-3157). */
const INITIAL_EVENTS_END = "k8s.io/initial-events-end";

interface BookmarkMeta {
  readonly resourceVersion?: unknown;
  readonly annotations?: Readonly<Record<string, unknown>>;
}

/** A bookmark has no name and no uid, only a version and perhaps annotations. */
function parseBookmark(object: unknown): WatchEvent {
  const meta = metaOf(object);
  if (typeof meta?.resourceVersion !== "string") return { type: "UNKNOWN", frameType: "BOOKMARK" };
  const initialEventsEnd = meta.annotations?.[INITIAL_EVENTS_END] === "true";
  return { type: "BOOKMARK", resourceVersion: meta.resourceVersion, initialEventsEnd };
}

function metaOf(object: unknown): BookmarkMeta | undefined {
  if (typeof object !== "object" || object === null || !("metadata" in object)) return undefined;
  const { metadata } = object;
  return typeof metadata === "object" && metadata !== null ? metadata : undefined;
}

interface Watchdog {
  heard(): void;
  /** From now on silence may last at most this long. */
  tighten(ms: number): void;
  fired(): boolean;
  stop(): void;
}

function startWatchdog(silenceMs: number, bite: () => void): Watchdog {
  let limitMs = silenceMs;
  let heardAt = performance.now();
  let fired = false;
  const look = (): void => {
    const left = heardAt + limitMs - performance.now();
    if (left > 0) {
      timer = setTimeout(look, left);
      return;
    }
    fired = true;
    bite();
  };
  let timer = setTimeout(look, silenceMs);
  return {
    heard: () => {
      heardAt = performance.now();
    },
    tighten: (ms) => {
      if (ms >= limitMs) return;
      limitMs = ms;
      clearTimeout(timer);
      timer = setTimeout(look, ms);
    },
    fired: () => fired,
    stop: () => clearTimeout(timer),
  };
}
