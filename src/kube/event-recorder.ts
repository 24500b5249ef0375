import { randomBytes } from "node:crypto";
import type { KeysteadError } from "../errors.ts";
import { asKeysteadError } from "../errors.ts";
import { isNamespaceTerminating } from "./api-error.ts";
import type { KubeClient } from "./client.ts";
import type { EventNote, EventReporter, EventSeries, EventSubject } from "./event-writer.ts";
import { countEvent, createEvent } from "./event-writer.ts";
import type { KubeLog } from "./log.ts";
import { silentLog } from "./log.ts";

export type { EventNote, EventSubject };

/** What is worth counting about events. */
export interface EventRecorderMetrics {
  /** `sent` as a new event, `counted` in the series of an earlier one, or `lost`. */
  recorded(outcome: "sent" | "counted" | "lost"): void;
}

/** Who reports, and where the recorder's own losses are told. */
export interface EventRecorderOptions extends EventReporter {
  readonly metrics?: EventRecorderMetrics | undefined;
  readonly log?: KubeLog | undefined;
  /** Ends the sending of what waits while the recorder is disposed; without it all of it is sent. */
  readonly cutOff?: AbortSignal | undefined;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

/** Tells people what happens to objects. Disposing sends what waits, until `cutOff` fires. */
export interface EventRecorder extends AsyncDisposable {
  /** Never throws and never waits. Events are hints: when too many come at once, or the API server takes none, some are lost. */
  record(subject: EventSubject, note: EventNote): void;
  /** Resolves when all that was recorded so far has been sent or lost. */
  flush(): Promise<void>;
}

/** Repeats of an event within this time belong to its series, as in client-go. */
const SERIES_MS = 10 * 60_000;

/** A series is written at most so often, however fast it grows. */
const SERIES_WRITE_MS = 30_000;

/** Series remembered, and so also events that wait to be sent: some hundred KB at most. */
const MAX_SERIES = 1_000;

interface Series extends EventSeries {
  lastAt: number;
  count: number;
  /** `count` as the API server has it; 0 before the event exists. */
  written: number;
  writtenAt: number;
}

interface Recorder {
  readonly client: KubeClient;
  readonly options: EventRecorderOptions;
  readonly series: Map<string, Series>;
  /** What has to be written, oldest first. */
  readonly pending: Set<Series>;
  readonly stop: AbortController;
  sending: Promise<void> | undefined;
  timer: NodeJS.Timeout | undefined;
}

/** Recorder that sends one event at a time in the background and counts repeats instead of sending them. */
export function createEventRecorder(client: KubeClient, options: EventRecorderOptions): EventRecorder {
  const recorder: Recorder = {
    client,
    options,
    series: new Map(),
    pending: new Set(),
    stop: new AbortController(),
    sending: undefined,
    timer: undefined,
  };
  return {
    record: (subject, note) => record(recorder, subject, note),
    flush: async () => recorder.sending,
    async [Symbol.asyncDispose]() {
      clearTimeout(recorder.timer);
      for (const series of recorder.series.values()) enqueue(recorder, series);
      const giveUp = (): void => recorder.stop.abort();
      options.cutOff?.addEventListener("abort", giveUp, { once: true });
      if (options.cutOff?.aborted) giveUp();
      await recorder.sending;
      options.cutOff?.removeEventListener("abort", giveUp);
      recorder.stop.abort();
    },
  };
}

function record(recorder: Recorder, subject: EventSubject, note: EventNote): void {
  if (recorder.stop.signal.aborted) return;
  const now = timeOf(recorder);
  const key = [subject.metadata.uid, note.type, note.reason, note.action, note.note].join("\0");
  const known = recorder.series.get(key);
  if (known !== undefined && now - known.lastAt < SERIES_MS) {
    known.count += 1;
    known.lastAt = now;
    if (now - known.writtenAt >= SERIES_WRITE_MS) enqueue(recorder, known);
    else armSweep(recorder);
    return;
  }
  if (recorder.series.size >= MAX_SERIES) forgetOldest(recorder);
  const name = `${subject.metadata.name.slice(0, 230)}.${randomBytes(8).toString("hex")}`;
  const series: Series = { subject, note, name, firstAt: now, lastAt: now, count: 1, written: 0, writtenAt: now };
  // A key that is set again would keep its old place.
  recorder.series.delete(key);
  recorder.series.set(key, series);
  enqueue(recorder, series);
}

function forgetOldest(recorder: Recorder): void {
  const [oldest] = recorder.series;
  if (oldest === undefined) return;
  recorder.series.delete(oldest[0]);
  if (recorder.pending.delete(oldest[1])) recorder.options.metrics?.recorded("lost");
}

function enqueue(recorder: Recorder, series: Series): void {
  if (series.count === series.written) return;
  recorder.pending.add(series);
  recorder.sending ??= sendAll(recorder);
}

/** One timer for all series that grew since they were written last. */
function armSweep(recorder: Recorder): void {
  recorder.timer ??= setTimeout(() => {
    recorder.timer = undefined;
    const now = timeOf(recorder);
    for (const [key, series] of recorder.series) {
      enqueue(recorder, series);
      if (now - series.lastAt >= SERIES_MS) recorder.series.delete(key);
    }
  }, SERIES_WRITE_MS);
}

async function sendAll(recorder: Recorder): Promise<void> {
  // Begins after the caller is done, so that `sending` is set and a burst is collected first.
  await Promise.resolve();
  for (const series of recorder.pending) {
    recorder.pending.delete(series);
    const outcome = await send(recorder, series);
    recorder.options.metrics?.recorded(outcome);
  }
  recorder.sending = undefined;
}

async function send(recorder: Recorder, series: Series): Promise<"sent" | "counted" | "lost"> {
  const { client, options, stop } = recorder;
  const { count } = series;
  try {
    if (series.written > 0 && (await countEvent(client, series, stop.signal))) return "counted";
    await createEvent(client, series, options, stop.signal);
    return "sent";
  } catch (thrown) {
    // Not tried again: the next repeat is, and an event is a hint.
    report(recorder, series, asKeysteadError(thrown));
    return "lost";
  } finally {
    series.written = count;
    series.writtenAt = timeOf(recorder);
  }
}

function report(recorder: Recorder, series: Series, error: KeysteadError): void {
  // A namespace that goes away takes its events with it, and a process that ends has nobody to tell.
  if (isNamespaceTerminating(error) || error.code === "kube_not_found" || error.code === "kube_call_aborted") return;
  const { kind, metadata } = series.subject;
  const object = `${kind} ${metadata.namespace ?? ""}/${metadata.name}`;
  (recorder.options.log ?? silentLog).warn({ err: error, object, reason: series.note.reason }, "An event was lost");
}

function timeOf(recorder: Recorder): number {
  return recorder.options.now?.() ?? Date.now();
}
