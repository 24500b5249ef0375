import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { tieSockets } from "./tie-sockets.ts";

/** A way to a server on which a test can stop what a client sends, as a network does that delivers late. */
export interface HoldingProxy extends AsyncDisposable {
  readonly port: number;
  /** Stops the next message from a client with `text` in it, and all that its connection sends after it. */
  hold(text: string): HeldMessage;
}

export interface HeldMessage {
  /** Resolves when there is one. */
  readonly arrived: Promise<void>;
  /** Delivers it, and resolves when the server has answered; to a connection that the server has closed meanwhile it does nothing. */
  deliver(): Promise<void>;
}

/** Forwards bytes to `host:port` in both directions. A text that is cut in two by the network would not be found. */
export async function startHoldingProxy(target: { host: string; port: number }): Promise<HoldingProxy> {
  const sockets = new Set<Socket>();
  let wanted: { readonly text: string; readonly take: (client: Socket, upstream: Socket) => void } | undefined;

  function forward(client: Socket, upstream: Socket, message: Buffer): void {
    if (wanted !== undefined && message.includes(wanted.text)) {
      wanted.take(client, upstream);
      wanted = undefined;
      client.pause();
      client.unshift(message);
      return;
    }
    upstream.write(message);
  }

  const server = createServer((client) => {
    const upstream = connect(target);
    client.on("data", (message: Buffer) => forward(client, upstream, message));
    upstream.pipe(client);
    tieSockets(sockets, client, upstream);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  return {
    port: address !== null && typeof address === "object" ? address.port : 0,
    hold(text) {
      const arrived = Promise.withResolvers<void>();
      let held: { readonly client: Socket; readonly upstream: Socket } | undefined;
      wanted = {
        text,
        take(client, upstream) {
          held = { client, upstream };
          arrived.resolve();
        },
      };
      return {
        arrived: arrived.promise,
        async deliver() {
          if (held === undefined || held.upstream.destroyed) return;
          const answered = once(held.upstream, "data");
          held.client.resume();
          await answered;
        },
      };
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
