import { readFileSync, writeFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import { setTimeout as delay } from "node:timers/promises";
import { parse, stringify } from "yaml";
import { KeysteadError } from "../../src/errors.ts";
import type { ServerAddress } from "../../src/kube/server-address.ts";

/** One call that passes. */
export interface PassingCall {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  readonly isWatch: boolean;
}

/** What happens to a call on its way: it passes, later or not at all. */
export interface Fate {
  readonly delayMs?: number;
  /** Answered instead of the API server. */
  readonly refusal?: { readonly code: number; readonly reason: string };
  /** It arrives once this resolves. */
  readonly held?: Promise<void>;
  /** The call does not arrive, or it does and its answer stays out. */
  readonly lost?: "call" | "answer";
  /** Called when the API server's answer is complete. */
  readonly answered?: () => void;
}

/** A way to the API server on which calls can be held up and refused. */
export interface ApiServerProxy extends AsyncDisposable {
  /** Writes a kubeconfig like the given one that goes this way, and gives its path. */
  kubeconfigLike(kubeconfig: string): string;
  /** Decides about each call from now on. */
  decide(fate: (call: PassingCall) => Fate | undefined): void;
  /** Calls that the API server got or that were refused, in order. */
  readonly calls: readonly PassingCall[];
  /** Cuts all that is open and refuses connections, until `mend`. */
  sever(): void;
  mend(): void;
}

/** Plain HTTP on this side, so that calls can be told apart; whoever calls is recognised by the token, as before. */
export async function startApiServerProxy(server: ServerAddress): Promise<ApiServerProxy> {
  const agent = new https.Agent({ keepAlive: true, ca: server.tls.ca });
  const calls: PassingCall[] = [];
  let fateOf: ((call: PassingCall) => Fate | undefined) | undefined;
  let severed = false;

  const handle = async (incoming: http.IncomingMessage, outgoing: http.ServerResponse): Promise<void> => {
    const url = incoming.url ?? "/";
    const call = { method: incoming.method ?? "GET", url, isWatch: /[?&]watch=/.test(url) };
    calls.push(call);
    const { delayMs = 0, held, refusal, lost, answered } = fateOf?.(call) ?? {};
    if (delayMs > 0) await delay(delayMs);
    await held;
    if (refusal) {
      outgoing.writeHead(refusal.code, { "content-type": "application/json" });
      outgoing.end(JSON.stringify({ kind: "Status", apiVersion: "v1", status: "Failure", ...refusal }));
      return;
    }
    if (lost === "call") return;
    const { host, port } = server;
    const onward = https.request({ agent, host, port, method: call.method, path: url, headers: incoming.headers });
    onward.on("response", (answer) => {
      if (answered) answer.on("end", answered);
      if (lost === "answer") {
        answer.resume();
        return;
      }
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    // Whatever breaks on one side breaks on the other.
    onward.on("error", () => outgoing.destroy());
    outgoing.on("close", () => onward.destroy());
    incoming.pipe(onward);
  };

  const proxy = http.createServer((incoming, outgoing) => void handle(incoming, outgoing));
  proxy.on("connection", (socket) => {
    if (severed) socket.resetAndDestroy();
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  proxy.listen(0, "127.0.0.1", resolve);
  await promise;
  const address = proxy.address();
  if (address === null || typeof address === "string") throw new KeysteadError("internal_error", "no port");

  return {
    kubeconfigLike(kubeconfig) {
      const config: { clusters: { cluster: object }[] } = parse(readFileSync(kubeconfig, "utf8"));
      for (const entry of config.clusters) entry.cluster = { server: `http://127.0.0.1:${address.port}` };
      writeFileSync(`${kubeconfig}.proxied`, stringify(config), { mode: 0o600 });
      return `${kubeconfig}.proxied`;
    },
    decide(fate) {
      fateOf = fate;
    },
    calls,
    sever() {
      severed = true;
      proxy.closeAllConnections();
    },
    mend() {
      severed = false;
    },
    async [Symbol.asyncDispose]() {
      proxy.closeAllConnections();
      agent.destroy();
      await new Promise((closed) => proxy.close(closed));
    },
  };
}
