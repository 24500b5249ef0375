import type { CallPriority } from "./call-slots.ts";

/** One call, whatever number of attempts it takes. */
export interface KubeCall {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** From `resourcePath`. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** `application/json` by default; patches name theirs. */
  readonly contentType?: string;
  /** `application/json` by default. */
  readonly accept?: string;
  readonly signal?: AbortSignal | undefined;
  /** For the call with all its attempts and waits. */
  readonly timeoutMs?: number;
  /** `normal` by default. An urgent call passes all normal ones that wait for a connection. */
  readonly priority?: CallPriority | undefined;
  /** The caller needs nothing of the answer: it is drained and not parsed, and the result is undefined. */
  readonly discardAnswer?: boolean;
  /** Whether the call may be made again when its fate is unknown. True for GET, PUT and DELETE; a patch must say so. */
  readonly idempotent?: boolean;
  /** Larger answers fail with `kube_answer_too_large`. 8 MiB by default: etcd holds no object over 1.5 MiB. */
  readonly maxAnswerBytes?: number;
}

/** Body of an open watch. Destroying it closes its connection. */
export type KubeStream = AsyncIterable<Buffer> & { destroy(): void };
