import type { Socket } from "node:net";

/** Lets two sides of a proxy end together, and keeps both among `open` while they live. Passing bytes on is the caller's. */
export function tieSockets(open: Set<Socket>, client: Socket, upstream: Socket): void {
  for (const [socket, other] of [
    [client, upstream],
    [upstream, client],
  ] as const) {
    open.add(socket);
    // An error is followed by `close`, which ends the other side too.
    socket.on("error", () => undefined);
    socket.on("close", () => {
      open.delete(socket);
      other.destroy();
    });
  }
}
