import type { IncomingMessage } from "node:http";
import { KeysteadError } from "../errors.ts";
import { apiError } from "./api-error.ts";
import type { KubeCall } from "./kube-call.ts";
import type { WireAnswer } from "./transport.ts";

/** Bytes of an error's body that are read: a Status object, or the start of a page that some proxy made up. */
const MAX_REFUSAL_BYTES = 64 * 1024;

/** Time such a body may take. */
const MAX_REFUSAL_MS = 5_000;

/** Headers of a call; the one of the host is Node's. */
export function encodeHeaders(
  call: KubeCall,
  body: string | undefined,
  authorization: string | undefined,
  userAgent: string,
): Record<string, string> {
  const headers: Record<string, string> = { accept: call.accept ?? "application/json", "user-agent": userAgent };
  if (authorization !== undefined) headers["authorization"] = authorization;
  if (body !== undefined) {
    headers["content-type"] = call.contentType ?? "application/json";
    // Stated, so that Node sends head and body in one write and without chunks.
    headers["content-length"] = String(Buffer.byteLength(body));
  }
  return headers;
}

/** Names are ours and need no encoding, values do. */
export function encodeQuery(query: Readonly<Record<string, string>>): string {
  let encoded = "";
  for (const name in query) {
    if (!Object.hasOwn(query, name)) continue;
    encoded += `${encoded === "" ? "" : "&"}${name}=${encodeURIComponent(query[name] ?? "")}`;
  }
  return encoded;
}

/** The parsed answer, of whatever type the caller expects of the API server. Throws `kube_answer_invalid` when it is not JSON, as half a body would be. */
export function decodeAnswer(call: KubeCall, answer: WireAnswer) {
  try {
    return call.discardAnswer === true ? undefined : JSON.parse(answer.body);
  } catch {
    // The parser's error quotes the text around the fault, which may be a Secret's data: it is not kept.
    throw new KeysteadError(
      "kube_answer_invalid",
      `${call.method} ${call.path} was answered with something that is not JSON`,
    );
  }
}

/** Reads why a stream was refused. A body that breaks off is an error of its own kind, not of the call. */
export async function readRefusal(call: KubeCall, message: IncomingMessage): Promise<KeysteadError> {
  const chunks: Buffer[] = [];
  let size = 0;
  const patience = setTimeout(() => message.destroy(), MAX_REFUSAL_MS);
  try {
    for await (const chunk of message) {
      if (!Buffer.isBuffer(chunk)) continue;
      chunks.push(chunk);
      size += chunk.length;
      if (size > MAX_REFUSAL_BYTES) break;
    }
  } catch {
    // The status alone says enough.
  } finally {
    clearTimeout(patience);
  }
  message.destroy();
  const body = Buffer.concat(chunks).toString("utf8");
  return apiError(`${call.method} ${call.path}`, message.statusCode ?? 0, body, message.headers["retry-after"]);
}
