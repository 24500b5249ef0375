import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { tieSockets } from "./tie-sockets.ts";

/** A way to a server that a test can cut and mend, as a failing network or a restarting server looks from here. */
export interface SeverableProxy extends AsyncDisposable {
  readonly port: number;
  /** Resets every connection and every new one, until `mend`. */
  sever(): void;
  /** New connections work again. */
  mend(): void;
  /** Open connections pass nothing any more, in either direction, and are not closed: a dead link. New ones work. */
  goSilent(): void;
  /** The same for one of the open connections: that which was made last. */
  silenceLast(): void;
  /** The same, and connections made until `mend` are accepted and never answered: a host that is half dead. */
  goDead(): void;
  /** Connections that were asked for so far, refused ones included. */
  readonly accepted: number;
}

/** Forwards bytes to `host:port` in both directions. */
export async function startSeverableProxy(target: { host: string; port: number }): Promise<SeverableProxy> {
  const sockets = new Set<Socket>();
  let severed = false;
  let dead = false;
  let accepted = 0;
  const server = createServer((client) => {
    accepted += 1;
    if (severed) {
      client.resetAndDestroy();
      return;
    }
    if (dead) {
      sockets.add(client);
      client.on("error", () => undefined);
      client.on("close", () => sockets.delete(client));
      return;
    }
    const upstream = connect(target);
    tieSockets(sockets, client, upstream);
    client.pipe(upstream);
    upstream.pipe(client);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = address !== null && typeof address === "object" ? address.port : 0;
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  const silence = () => {
    for (const socket of sockets) socket.unpipe().pause();
  };
  return {
    port,
    sever() {
      severed = true;
      cut();
    },
    mend() {
      severed = false;
      dead = false;
    },
    goSilent: silence,
    silenceLast() {
      for (const socket of [...sockets].slice(-2)) socket.unpipe().pause();
    },
    goDead() {
      dead = true;
      silence();
    },
    get accepted() {
      return accepted;
    },
    async [Symbol.asyncDispose]() {
      cut();
      server.close();
      await once(server, "close");
    },
  };
}
