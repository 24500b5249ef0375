import { connect, type Socket } from "node:net";
import { KeysteadError } from "../../src/errors.ts";

/** A connection that is kept, over which one request at a time is made. */
export interface HttpClient extends Disposable {
  /** Sends the bytes of a request. Rejects with `part_failed` when the server closes the connection. */
  ask(request: string): Promise<HttpAnswer>;
}

export interface HttpAnswer {
  readonly status: number;
  /** Head and body. */
  readonly bytes: Buffer;
}

export interface HttpClientOptions {
  readonly host: string;
  readonly port: number;
  /** Which address the requests come from. Default: the kernel's choice. */
  readonly localAddress?: string | undefined;
}

/**
 * Opens a connection. Requests are written as bytes and answers are read no further than to their length, because this
 * shares the machine's cores with what it measures.
 */
export function openHttpClient({ host, port, localAddress }: HttpClientOptions): HttpClient {
  const socket = connect({ host, port, localAddress, noDelay: true });
  const answer = readAnswers(socket);
  return {
    ask(request) {
      socket.write(request);
      return answer();
    },
    [Symbol.dispose]: () => void socket.destroy(),
  };
}

/** Gives a function that resolves with the next whole answer; one is waited for at a time. */
function readAnswers(socket: Socket): () => Promise<HttpAnswer> {
  let received: Buffer = Buffer.alloc(0);
  let settle: { resolve(answer: HttpAnswer): void; reject(error: unknown): void } | undefined;
  socket.on("error", (error) => settle?.reject(error));
  socket.on("close", () => settle?.reject(new KeysteadError("part_failed", "The server closed a connection")));
  socket.on("data", (chunk: Buffer) => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
    try {
      const head = readHead(received);
      if (head === undefined || received.length < head.length) return;
      const bytes = received.subarray(0, head.length);
      received = received.subarray(head.length);
      settle?.resolve({ status: head.status, bytes });
    } catch (error) {
      settle?.reject(error);
    }
  });
  return () =>
    new Promise((resolve, reject) => {
      settle = { resolve, reject };
    });
}

/** Status of the first answer, and its bytes, head and body; undefined while its head is not complete. */
function readHead(received: Buffer): { readonly status: number; readonly length: number } | undefined {
  const headEnd = received.indexOf("\r\n\r\n");
  if (headEnd === -1) return undefined;
  const head = received.toString("latin1", 0, headEnd);
  const length = /^content-length: (\d+)$/im.exec(head)?.[1];
  if (length === undefined) throw new KeysteadError("part_failed", `An answer has no length: ${head}`);
  return {
    status: Number(head.slice("HTTP/1.1 ".length, "HTTP/1.1 200".length)),
    length: headEnd + 4 + Number(length),
  };
}
