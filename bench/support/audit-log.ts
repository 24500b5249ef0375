import { createReadStream, readdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";

/** A call to the API server, as it saw it. */
export interface AuditedCall {
  readonly verb: string;
  /** With the subresource, as in `connections/status`. */
  readonly resource: string;
  readonly namespace: string;
  readonly name: string;
  /** Milliseconds since the epoch at which the server had answered; of a watch, at which it began. */
  readonly answeredAt: number;
}

/** The server writes its log from a queue of its own. */
const SETTLE_MS = 1_500;

/** Calls that the controller's own user agent made since that moment (milliseconds since the epoch), in their order. */
export async function callsOfController(auditLog: string, since: number): Promise<AuditedCall[]> {
  await delay(SETTLE_MS);
  const calls: AuditedCall[] = [];
  for (const file of logFiles(auditLog)) {
    for await (const line of createInterface({ input: createReadStream(file), crlfDelay: Infinity })) {
      if (!line.includes('"userAgent":"keystead/')) continue;
      const event: AuditEvent = JSON.parse(line);
      // A watch is logged when it begins and again when it ends; any other call only once.
      if (event.verb === "watch" && event.stage !== "ResponseStarted") continue;
      if (Date.parse(event.requestReceivedTimestamp) >= since) calls.push(callOf(event));
    }
  }
  return calls;
}

/** How many of the calls are to that resource, with one of those verbs. */
export function countCalls(calls: readonly AuditedCall[], resource: string, ...verbs: readonly string[]): number {
  return calls.filter((call) => call.resource === resource && verbs.includes(call.verb)).length;
}

/** Verbs that change something. */
export const WRITE_VERBS = ["create", "update", "patch", "delete", "deletecollection"];

interface AuditEvent {
  readonly verb: string;
  readonly stage: string;
  readonly requestReceivedTimestamp: string;
  readonly stageTimestamp: string;
  readonly objectRef?: {
    readonly resource?: string;
    readonly subresource?: string;
    readonly namespace?: string;
    readonly name?: string;
  };
}

function callOf({ verb, objectRef = {}, stageTimestamp }: AuditEvent): AuditedCall {
  const { resource = "", subresource, namespace = "", name = "" } = objectRef;
  return {
    verb,
    resource: subresource === undefined ? resource : `${resource}/${subresource}`,
    namespace,
    name,
    answeredAt: Date.parse(stageTimestamp),
  };
}

/** The log in its parts: at 100 MB the server begins another and puts the time into the old one's name. */
function logFiles(auditLog: string): string[] {
  const directory = dirname(auditLog);
  const stem = basename(auditLog, ".log");
  const parts = readdirSync(directory).filter((name) => name.startsWith(`${stem}-`) && name.endsWith(".log"));
  return [...parts.toSorted().map((name) => join(directory, name)), auditLog];
}
