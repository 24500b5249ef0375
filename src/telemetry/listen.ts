import type { Server } from "node:net";
import { KeysteadError } from "../errors.ts";

/** A port and the addresses to open it on. */
export interface ListenOptions {
  /** 0 takes a free port. */
  readonly port: number;
  /** All addresses when undefined. */
  readonly host?: string | undefined;
}

/**
 * Opens a server's port and resolves with its number. Without a host it tries `::`, which takes IPv4 as well, and
 * falls back to `0.0.0.0` on a machine without IPv6.
 *
 * @throws `port_in_use`, or `address_unavailable` for an address that this process may not or cannot have.
 */
export async function listen(server: Server, options: ListenOptions): Promise<number> {
  if (options.host !== undefined) return open(server, options.port, options.host);
  try {
    return await open(server, options.port, "::");
  } catch (error) {
    if (error instanceof KeysteadError && error.code === "address_unavailable")
      return open(server, options.port, "0.0.0.0");
    throw error;
  }
}

function open(server: Server, port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const refused = (cause: NodeJS.ErrnoException) => {
      server.off("listening", opened);
      reject(
        cause.code === "EADDRINUSE"
          ? new KeysteadError(
              "port_in_use",
              `Port ${port} on ${host} is used by another process: choose another port or end that one`,
              { cause },
            )
          : new KeysteadError(
              "address_unavailable",
              `Cannot listen on ${host} port ${port}: ${cause.code ?? cause.message}`,
              { cause },
            ),
      );
    };
    const opened = () => {
      server.off("error", refused);
      const address = server.address();
      resolve(address !== null && typeof address === "object" ? address.port : port);
    };
    server.once("error", refused);
    server.once("listening", opened);
    server.listen({ port, host });
  });
}
