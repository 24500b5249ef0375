import { connect, createServer, type Socket } from "node:net";
import type { AddressInfo } from "node:net";

/** A way to Postgres that writes down which statements go over it. */
export interface StatementProxy extends AsyncDisposable {
  /** The URL it was made for, by way of the proxy. */
  readonly url: string;
  /** SQL of every statement executed so far, in order. */
  statements(): readonly string[];
}

/** Message types of Postgres' protocol (version 3, chapter 54.7 of its manual) that start something. */
const QUERY = "Q".charCodeAt(0);
const PARSE = "P".charCodeAt(0);
const BIND = "B".charCodeAt(0);
const EXECUTE = "E".charCodeAt(0);

/** Type byte and length. */
const HEADER_BYTES = 5;

/** Opens the proxy on a free port of 127.0.0.1, for a URL that asks for no TLS. */
export async function startStatementProxy(databaseUrl: string): Promise<StatementProxy> {
  const target = new URL(databaseUrl);
  const seen: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect({ host: target.hostname, port: Number(target.port), noDelay: true });
    client.setNoDelay(true);
    const read = createStatementReader((sql) => void seen.push(sql));
    client.on("data", (chunk: Buffer) => {
      read(chunk);
      upstream.write(chunk);
    });
    upstream.pipe(client);
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket);
      socket.on("error", () => other.destroy());
      socket.on("close", () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = new URL(databaseUrl);
  url.host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url: url.href,
    statements: () => seen,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Reads what one client sends. Its first message, the start-up, is the only one without a type. */
function createStatementReader(executed: (sql: string) => void): (chunk: Buffer) => void {
  const prepared = new Map<string, string>();
  let bound = "";
  let started = false;
  let rest: Buffer = Buffer.alloc(0);

  const take = (type: number, body: Buffer): void => {
    if (type === QUERY) executed(text(body, 0));
    if (type === PARSE) {
      const name = text(body, 0);
      prepared.set(name, text(body, Buffer.byteLength(name) + 1));
    }
    // A bind names the portal, then the statement.
    if (type === BIND) bound = text(body, Buffer.byteLength(text(body, 0)) + 1);
    if (type === EXECUTE) executed(prepared.get(bound) ?? `unknown statement ${bound}`);
  };

  return (chunk) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    for (;;) {
      const typeBytes = started ? 1 : 0;
      if (rest.length < HEADER_BYTES) return;
      const length = typeBytes + rest.readUInt32BE(typeBytes);
      if (rest.length < length) return;
      if (started) take(rest.readUInt8(0), rest.subarray(HEADER_BYTES, length));
      started = true;
      rest = rest.subarray(length);
    }
  };
}

/** A string of the protocol: up to the next zero byte. */
function text(body: Buffer, start: number): string {
  return body.toString("utf8", start, body.indexOf(0, start));
}
