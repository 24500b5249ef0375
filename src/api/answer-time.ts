import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Http2SecureServer, Http2ServerRequest, Http2ServerResponse } from "node:http2";
import type { Writable } from "node:stream";
import type { Timeouts } from "./limits.ts";

// Not imported, as in telemetry/health-server.ts.
const http2 = process.getBuiltinModule("node:http2");

type Outgoing = ServerResponse | Http2ServerResponse;

/**
 * Ends answers that their callers do not take: until then what is written waits in memory, and the connection is open for
 * free. An answer lasts as long as it is taken at all: within the time one write of it has to be through, some 64 KiB of a
 * streamed one, else the whole.
 */
export function limitAnswerTime(
  server: Server | Http2SecureServer,
  { answerTaken, check }: Pick<Timeouts, "answerTaken" | "check">,
): void {
  const answers = new Set<Outgoing>();
  /** How often a write was found waiting. */
  const waiting = new WeakMap<Outgoing, number>();
  server.prependListener("request", (_request: IncomingMessage | Http2ServerRequest, response: Outgoing) => {
    answers.add(response);
    const closed: NodeJS.EventEmitter = response;
    closed.once("close", () => answers.delete(response));
  });
  const look = (answer: Outgoing): void => {
    if (isGone(answer)) answers.delete(answer);
    if (!isWaiting(answer)) return;
    const looks = waiting.get(answer) ?? 0;
    waiting.set(answer, looks + 1);
    if (looks === 0) writableOf(answer).once("drain", () => waiting.delete(answer));
    // Looks and no clock: while the process itself stands still nobody can take anything.
    if (looks >= answerTaken / check) end(answer);
  };
  const timer = setInterval(() => {
    for (const answer of answers) look(answer);
  }, check).unref();
  server.once("close", () => clearInterval(timer));
}

function writableOf(answer: Outgoing): Writable {
  return "stream" in answer ? answer.stream : answer;
}

/** Nobody tells answers that wait for others on a pipelined connection when it ends. */
function isGone(answer: Outgoing): boolean {
  return "stream" in answer ? answer.stream.destroyed : answer.req.socket.destroyed;
}

/** Whether something is written that the caller has not taken; of a pipelined connection the answer whose turn it is. */
function isWaiting(answer: Outgoing): boolean {
  if (!("stream" in answer) && answer.socket === null) return false;
  const { writableNeedDrain, writableEnded, writableFinished } = writableOf(answer);
  return writableNeedDrain || (writableEnded && !writableFinished);
}

function end(answer: Outgoing): void {
  if ("stream" in answer) answer.stream.close(http2.constants.NGHTTP2_CANCEL);
  else answer.socket?.destroy();
}
