import type { Socket } from "node:net";
import { connect, createServer } from "node:net";
import type { Identity } from "../../src/kube/identity.ts";
import { listenOnLoopback } from "./fault-server.ts";

/** A wire to the real API server that can be cut, or go dead without a word. */
export interface FaultProxy extends AsyncDisposable {
  /** The given identity, but over this wire. */
  readonly identity: Identity;
  /** Connections that are open now pass nothing any more, in either direction, and are not closed. New ones work. */
  goSilent(): void;
  /** Breaks all connections with a TCP reset. New ones work. */
  resetAll(): void;
  /** Connections accepted so far. */
  readonly accepted: number;
  /** Bytes that came from the API server so far. */
  readonly received: number;
}

export async function startFaultProxy(identity: Identity): Promise<FaultProxy> {
  const pairs = new Set<readonly [Socket, Socket]>();
  let accepted = 0;
  let received = 0;
  const server = createServer((near) => {
    accepted += 1;
    const far = connect(identity.server.port, identity.server.host);
    const pair = [near, far] as const;
    pairs.add(pair);
    far.on("data", (chunk: Buffer) => {
      received += chunk.length;
    });
    near.pipe(far);
    far.pipe(near);
    for (const socket of pair) {
      // Whatever breaks on one side breaks on the other.
      socket.on("error", () => undefined);
      socket.on("close", () => {
        pairs.delete(pair);
        near.destroy();
        far.destroy();
      });
    }
  });
  const port = await listenOnLoopback(server);
  return {
    identity: { ...identity, server: { ...identity.server, port } },
    get accepted() {
      return accepted;
    },
    get received() {
      return received;
    },
    goSilent() {
      for (const [near, far] of pairs) {
        near.unpipe();
        far.unpipe();
        near.pause();
        far.pause();
      }
    },
    resetAll() {
      for (const [near] of pairs) near.resetAndDestroy();
    },
    async [Symbol.asyncDispose]() {
      for (const [near, far] of pairs) {
        near.destroy();
        far.destroy();
      }
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
