import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:http";
import type { Server } from "node:net";
import { setImmediate as turnOfTheLoop, setTimeout as delay } from "node:timers/promises";
import { KeysteadError } from "../../src/errors.ts";
import type { Identity } from "../../src/kube/identity.ts";

/** What a request asks for, as far as the script tells requests apart. */
export type Ask = "list" | "watch" | "call";

export interface SeenRequest {
  readonly ask: Ask;
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

/** What the server does to one request. */
export type Reaction = (response: ServerResponse, request: SeenRequest) => void | Promise<void>;

/** A server that speaks as much of the Kubernetes API as its script says, and misbehaves on command. */
export interface FaultServer extends AsyncDisposable {
  /** To call it: plain HTTP, without credentials. */
  readonly identity: Identity;
  /** All requests so far, in order. */
  readonly requests: readonly SeenRequest[];
  /** Of one kind. */
  seen(ask: Ask): SeenRequest[];
  /** The next requests of that kind get these reactions, one each. */
  script(ask: Ask, ...reactions: Reaction[]): void;
  /** What requests get for which nothing is scripted (any more). */
  otherwise(ask: Ask, reaction: Reaction): void;
}

export async function startFaultServer(): Promise<FaultServer> {
  const requests: SeenRequest[] = [];
  const scripts: Record<Ask, Reaction[]> = { list: [], watch: [], call: [] };
  const fallbacks: Record<Ask, Reaction> = { list: unscripted, watch: unscripted, call: unscripted };
  const server = createServer((message, response) => {
    void (async () => {
      const request = await read(message);
      requests.push(request);
      const reaction = scripts[request.ask].shift() ?? fallbacks[request.ask];
      await reaction(response, request);
    })();
  });
  const port = await listenOnLoopback(server);
  return {
    identity: {
      server: { protocol: "http:", host: "127.0.0.1", port, basePath: "", tls: { skipVerify: false } },
      namespace: "default",
    },
    requests,
    seen: (ask) => requests.filter((request) => request.ask === ask),
    script: (ask, ...reactions) => void scripts[ask].push(...reactions),
    otherwise: (ask, reaction) => {
      fallbacks[ask] = reaction;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** An answer in good order. */
export function json(status: number, body: unknown, headers: Record<string, string> = {}): Reaction {
  return (response) => {
    response.writeHead(status, { "content-type": "application/json", ...headers });
    response.end(JSON.stringify(body));
  };
}

/** An answer as the API server makes it for an error. */
export function refusal(
  code: number,
  reason: string,
  more: object = {},
  headers: Record<string, string> = {},
): Reaction {
  return json(
    code,
    { kind: "Status", apiVersion: "v1", status: "Failure", reason, code, message: reason, ...more },
    headers,
  );
}

/** A page of a list. */
export function page(items: readonly object[], resourceVersion: string, next = ""): Reaction {
  return json(200, { kind: "List", metadata: { resourceVersion, continue: next }, items });
}

/** Breaks the connection instead of an answer. */
export function reset(): Reaction {
  return (response) => void response.socket?.resetAndDestroy();
}

/** Takes the request and says nothing, for ever: what a machine looks like that lost its network. */
export function silence(): Reaction {
  return () => undefined;
}

/** Answers late. */
export function late(ms: number, reaction: Reaction): Reaction {
  return async (response, request) => {
    await delay(ms);
    await reaction(response, request);
  };
}

/** Promises more than it sends. */
export function truncatedAnswer(body: string): Reaction {
  return (response) => {
    response.writeHead(200, { "content-type": "application/json", "content-length": String(body.length + 100) });
    response.write(body, () => response.socket?.destroy());
  };
}

/** How a watch goes on after its chunks. */
export type WatchEnding = "end" | "reset" | "silence";

/** A watch that sends exactly these chunks, each by itself. */
export function watch(chunks: readonly (string | Buffer)[], ending: WatchEnding = "silence"): Reaction {
  return async (response) => {
    response.writeHead(200, { "content-type": "application/json" });
    response.flushHeaders();
    for (const chunk of chunks) {
      await new Promise((resolve) => response.write(chunk, resolve));
      await turnOfTheLoop();
    }
    if (ending === "end") response.end();
    if (ending === "reset") response.socket?.resetAndDestroy();
  };
}

/** A frame of a watch. */
export function frame(type: string, content: object): string {
  return `${JSON.stringify({ type, object: content })}\n`;
}

/** A bookmark frame. */
export function bookmark(resourceVersion: string, annotations?: Record<string, string>): string {
  return frame("BOOKMARK", { kind: "Secret", metadata: { resourceVersion, annotations } });
}

/** The smallest object that counts as one. */
export function object(name: string, resourceVersion: string, more: object = {}) {
  return { metadata: { name, namespace: "ns", uid: `uid-of-${name}`, resourceVersion }, ...more };
}

/** Starts to listen and resolves with the port. */
export async function listenOnLoopback(server: Server): Promise<number> {
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  if (typeof address === "object" && address !== null) return address.port;
  throw new KeysteadError("internal_error", "The server listens on no port");
}

function unscripted(response: ServerResponse): void {
  response.writeHead(501).end("nothing is scripted for this request");
}

async function read(message: IncomingMessage): Promise<SeenRequest> {
  let body = "";
  for await (const chunk of message.setEncoding("utf8")) body += String(chunk);
  const url = new URL(message.url ?? "/", "http://localhost");
  const query = url.searchParams;
  const ask = query.get("watch") === "true" ? "watch" : query.has("limit") ? "list" : "call";
  return { ask, method: message.method ?? "", path: url.pathname, query, headers: message.headers, body };
}
