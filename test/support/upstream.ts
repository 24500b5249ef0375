import { once } from "node:events";
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { Socket } from "node:net";
import type { SelfSigned } from "./self-signed.ts";

/** A request as a provider received it. */
export interface SeenCall {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

/** What the provider does with a request whose body has arrived. */
export type Answer = (response: ServerResponse, call: SeenCall, socket: Socket) => void;

/** Somebody else's API, on loopback. */
export interface Upstream extends AsyncDisposable {
  readonly port: number;
  /** With `127.0.0.1`, or `localhost` where it has a certificate. */
  readonly url: string;
  /** What arrived so far, in order. */
  readonly calls: readonly SeenCall[];
  /** Connections that were made so far. */
  readonly connections: number;
  /** The next requests get these answers, one each; after them the last one stays. */
  script(...answers: readonly Answer[]): void;
}

/** Answers with the text, and 200. */
export const text =
  (body: string, headers: Readonly<Record<string, string>> = {}, status = 200): Answer =>
  (response) =>
    void response.writeHead(status, headers).end(body);

/** Sends elsewhere. */
export const redirect = (location: string, status = 302): Answer => text("", { location }, status);

/** A server whose bodies are collected, unless `listener` takes the requests as they come. */
export async function startUpstream(
  options: { readonly tls?: SelfSigned; readonly listener?: RequestListener; readonly host?: string } = {},
): Promise<Upstream> {
  const calls: SeenCall[] = [];
  let answers: readonly Answer[] = [text("ok")];
  let connections = 0;
  const listener: RequestListener = (request, response) => {
    const chunks: Buffer[] = [];
    request
      .on("data", (chunk: Buffer) => chunks.push(chunk))
      .on("error", () => undefined)
      .on("end", () => {
        const { method, url, headers } = request;
        const call = { method, url, headers, body: Buffer.concat(chunks).toString() };
        calls.push(call);
        const [answer, ...rest] = answers;
        if (rest.length > 0) answers = rest;
        answer?.(response, call, request.socket);
      });
  };
  const taken = options.listener ?? listener;
  const server = options.tls ? createTlsServer(options.tls, taken) : createServer(taken);
  server.on(options.tls ? "secureConnection" : "connection", () => {
    connections += 1;
  });
  server.on("tlsClientError", () => undefined);
  server.listen(0, options.host ?? "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = address !== null && typeof address === "object" ? address.port : 0;
  return {
    port,
    url: options.tls ? `https://localhost:${port}` : `http://127.0.0.1:${port}`,
    calls,
    get connections() {
      return connections;
    },
    script(...next) {
      answers = next;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}
