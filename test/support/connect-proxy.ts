import { once } from "node:events";
import { createServer } from "node:http";
import { connect, type Socket } from "node:net";
import { tieSockets } from "./tie-sockets.ts";

/** An egress proxy on loopback that opens tunnels, and remembers to where. */
export interface ConnectProxy extends AsyncDisposable {
  readonly port: number;
  /** Authorities that were asked for, each with what authorized it. */
  readonly tunnels: readonly { readonly authority: string; readonly authorization: string | undefined }[];
  /** From now on every tunnel is refused with this status. */
  refuse(status: number): void;
}

export async function startConnectProxy(): Promise<ConnectProxy> {
  const tunnels: { authority: string; authorization: string | undefined }[] = [];
  const open = new Set<Socket>();
  let refusal: number | undefined;
  const server = createServer((_request, response) => void response.writeHead(405).end());
  server.on("connect", (request, client: Socket) => {
    const authority = request.url ?? "";
    tunnels.push({ authority, authorization: request.headers["proxy-authorization"] });
    if (refusal !== undefined) {
      client.end(`HTTP/1.1 ${refusal} Refused\r\n\r\n`);
      return;
    }
    const { hostname, port } = new URL(`http://${authority}`);
    const upstream = connect(Number(port), hostname.replace(/^\[|\]$/g, ""));
    tieSockets(open, client, upstream);
    upstream.once("connect", () => {
      client.write("HTTP/1.1 200 Connection Established\r\n\r\n");
      client.pipe(upstream).pipe(client);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  return {
    port: address !== null && typeof address === "object" ? address.port : 0,
    tunnels,
    refuse(status) {
      refusal = status;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy();
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}
