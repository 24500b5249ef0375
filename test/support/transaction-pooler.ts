import { once } from "node:events";
import { createServer, Socket } from "node:net";
import { Client } from "pg";
import { messageReader } from "./postgres-messages.ts";

/** A pooler in transaction mode in front of a Postgres, as strict as any that users may have. */
export interface TransactionPooler extends AsyncDisposable {
  readonly url: string;
  /** Start-up parameters that made it refuse a connection. */
  readonly refusedParameters: ReadonlySet<string>;
}

/** What every pooler lets through; the real ones refuse the rest by default. */
const ALLOWED_PARAMETERS = new Set(["user", "database", "application_name", "client_encoding"]);

/** One connection to Postgres, lent for a transaction at a time. */
interface ServerConnection {
  readonly socket: Socket;
  borrower: Borrower | undefined;
}

interface Borrower {
  readonly socket: Socket;
  /** Messages that wait for a server connection. */
  waiting: Buffer[];
  /** Answers that end with ReadyForQuery and are still to come. */
  pending: number;
}

/**
 * Lends two server connections to any number of clients, each for one transaction, and takes care to give a client the
 * other one next time: whatever a client left behind in a session it will miss. Knows no prepared statements, so names
 * meet a connection that never heard of them.
 */
export async function startTransactionPooler(url: string): Promise<TransactionPooler> {
  const servers = await Promise.all([connectToServer(url), connectToServer(url)]);
  const queue: Borrower[] = [];
  const clients = new Set<Socket>();
  const refusedParameters = new Set<string>();

  const lend = (): void => {
    while (queue.length > 0) {
      const free = servers.find((server) => !server.borrower);
      const borrower = free && queue.shift();
      if (!free || !borrower) return;
      free.borrower = borrower;
      for (const message of borrower.waiting) free.socket.write(message);
      borrower.waiting = [];
    }
  };

  for (const server of servers) {
    const read = messageReader((message, type) => {
      const { borrower } = server;
      borrower?.socket.write(message);
      if (type !== "Z" || !borrower) return;
      borrower.pending -= 1;
      if (borrower.pending > 0 || message.toString("latin1", 5, 6) !== "I") return;
      server.borrower = undefined;
      // Last in the line now: the next transaction gets the other connection.
      servers.push(...servers.splice(servers.indexOf(server), 1));
      if (borrower.waiting.length > 0) queue.push(borrower);
      lend();
    });
    server.socket.on("data", read);
  }

  const serve = (socket: Socket): void => {
    const borrower: Borrower = { socket, waiting: [], pending: 0 };
    const read = messageReader((message, type) => {
      if (type === "X") {
        socket.end();
        return;
      }
      if (type === "S" || type === "Q") borrower.pending += 1;
      const server = servers.find((candidate) => candidate.borrower === borrower);
      if (server) {
        server.socket.write(message);
        return;
      }
      borrower.waiting.push(message);
      if (!queue.includes(borrower)) queue.push(borrower);
      lend();
    });
    socket.on("data", read);
    socket.write(WELCOME);
  };

  const pooler = createServer((socket) => {
    clients.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => clients.delete(socket));
    socket.once("data", (startup: Buffer) => {
      const refused = parametersOf(startup).find((name) => !ALLOWED_PARAMETERS.has(name));
      if (refused === undefined) serve(socket);
      else {
        refusedParameters.add(refused);
        socket.end(refusal(`unsupported startup parameter: ${refused}`));
      }
    });
  });
  pooler.listen(0, "127.0.0.1");
  await once(pooler, "listening");
  const address = pooler.address();
  const through = new URL(url);
  through.host = `127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`;
  return {
    url: through.href,
    refusedParameters,
    async [Symbol.asyncDispose]() {
      for (const socket of [...clients, ...servers.map((server) => server.socket)]) socket.destroy();
      pooler.close();
      await once(pooler, "close");
    },
  };
}

/** Logs in by way of `pg`, which knows how to, and takes its socket over. */
async function connectToServer(url: string): Promise<ServerConnection> {
  const socket = new Socket();
  const client = new Client({ connectionString: url, stream: () => socket });
  await client.connect();
  socket.removeAllListeners();
  socket.on("error", () => undefined);
  return { socket, borrower: undefined };
}

/** Names in a start-up message: length and protocol version, then name and value by turns, each ended by a zero. */
function parametersOf(startup: Buffer): string[] {
  const words = startup.toString("utf8", 8).split("\0");
  return words.filter((word, index) => index % 2 === 0 && word !== "");
}

function encode(type: string, body: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length + 4);
  return Buffer.concat([Buffer.from(type), length, body]);
}

function refusal(text: string): Buffer {
  const fields = `SFATAL\0VFATAL\0C08P01\0M${text}\0\0`;
  return encode("E", Buffer.from(fields));
}

/** AuthenticationOk, BackendKeyData, ReadyForQuery: the login is the pooler's business. */
const WELCOME = Buffer.concat([
  encode("R", Buffer.alloc(4)),
  encode("K", Buffer.alloc(8)),
  encode("Z", Buffer.from("I")),
]);
