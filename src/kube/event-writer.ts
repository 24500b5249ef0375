import { hasCode } from "../errors.ts";
import type { KubeClient } from "./client.ts";
import { microTime } from "./micro-time.ts";
import type { KubeObject } from "./object.ts";
import { EVENT, resourcePath } from "./resource-path.ts";

/** What happened to an object, for people: shown by `kubectl describe`. */
export interface EventNote {
  readonly type: "Normal" | "Warning";
  /** CamelCase word; at most 128 characters. */
  readonly reason: string;
  /** CamelCase word for what was being done, as in `Reconcile`; at most 128 characters. */
  readonly action: string;
  /** Sentence in the past tense; cut at 1,024 bytes. Never a secret. */
  readonly note: string;
}

/** What an event is about. */
export interface EventSubject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: Pick<KubeObject["metadata"], "name" | "namespace" | "uid">;
}

/** Who reports. */
export interface EventReporter {
  /** Qualified name, as in `keystead.dev/controller`. */
  readonly controller: string;
  /** Name of the pod; cut at 128 characters. */
  readonly instance: string;
}

/** One event and how often it happened. Times are milliseconds since the epoch. */
export interface EventSeries {
  readonly subject: EventSubject;
  readonly note: EventNote;
  /** Of the Event object. */
  readonly name: string;
  readonly firstAt: number;
  readonly lastAt: number;
  readonly count: number;
}

/** `NoteLengthLimit` of the API server, which counts bytes. */
const MAX_NOTE_BYTES = 1_024;

/** Writes a new Event. One that exists already was written by an earlier attempt whose answer got lost. */
export async function createEvent(
  client: KubeClient,
  series: EventSeries,
  reporter: EventReporter,
  signal: AbortSignal,
): Promise<void> {
  const { subject, note } = series;
  const { name, namespace, uid } = subject.metadata;
  const { apiVersion, kind } = subject;
  const body = {
    apiVersion: "events.k8s.io/v1",
    kind: "Event",
    metadata: { name: series.name, namespace: namespaceOf(subject) },
    eventTime: microTime(series.firstAt),
    reportingController: reporter.controller,
    reportingInstance: reporter.instance.slice(0, 128),
    action: note.action,
    reason: note.reason,
    regarding: { apiVersion, kind, name, uid, ...(namespace === undefined ? {} : { namespace }) },
    note: cutToBytes(note.note, MAX_NOTE_BYTES),
    type: note.type,
    ...(series.count > 1 ? { series: seriesOf(series) } : {}),
  };
  const path = resourcePath(EVENT, { namespace: namespaceOf(subject) });
  try {
    await client.request({ method: "POST", path, body, idempotent: true, discardAnswer: true, signal });
  } catch (thrown) {
    if (!hasCode(thrown, "kube_already_exists")) throw thrown;
  }
}

/** Writes how often an event has happened by now. False when it is gone: the API server forgets events after an hour. */
export async function countEvent(client: KubeClient, series: EventSeries, signal: AbortSignal): Promise<boolean> {
  const path = resourcePath(EVENT, { namespace: namespaceOf(series.subject), name: series.name });
  try {
    await client.request({
      method: "PATCH",
      path,
      contentType: "application/merge-patch+json",
      body: { series: seriesOf(series) },
      idempotent: true,
      discardAnswer: true,
      signal,
    });
    return true;
  } catch (thrown) {
    if (hasCode(thrown, "kube_not_found")) return false;
    throw thrown;
  }
}

/** Events about objects without a namespace live in `default`: the API server admits no other place. */
function namespaceOf(subject: EventSubject): string {
  return subject.metadata.namespace ?? "default";
}

function seriesOf(series: EventSeries): { count: number; lastObservedTime: string } {
  return { count: series.count, lastObservedTime: microTime(series.lastAt) };
}

/** The longest beginning of the text that fits, without half a character at its end. */
export function cutToBytes(text: string, limit: number): string {
  const bytes = Buffer.from(text, "utf8");
  if (bytes.length <= limit) return text;
  let end = limit;
  // A byte 10xxxxxx continues a character.
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.toString("utf8", 0, end);
}
