import { createServer } from "node:net";
import type { Server } from "node:net";

/**
 * Ports of 127.0.0.1 that are free at this moment, all different. Another process may take one before it is used, so
 * whoever starts a server on them tries again with others when that happens (`portsInUse` tells).
 */
export async function freePorts(count: number): Promise<number[]> {
  // All are held open until the last is known, else the system may give the same one twice.
  const servers = await Promise.all(Array.from({ length: count }, () => listen(0)));
  const ports = servers.map((server) => portOf(server));
  await Promise.all(servers.map((server) => close(server)));
  return ports;
}

/** Those of the ports on which nobody could listen right now. */
export async function portsInUse(ports: readonly number[], host = "127.0.0.1"): Promise<number[]> {
  const inUse: number[] = [];
  for (const port of ports) {
    try {
      await close(await listen(port, host));
    } catch {
      // Whatever the reason (taken, privileged): a server cannot have this port.
      inUse.push(port);
    }
  }
  return inUse;
}

function listen(port: number, host = "127.0.0.1"): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen({ port, host, exclusive: true }, () => resolve(server));
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}

function portOf(server: Server): number {
  const address = server.address();
  // A listening TCP server has an address object; a text is the path of a unix socket.
  return typeof address === "object" && address !== null ? address.port : 0;
}
