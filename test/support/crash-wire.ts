import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import type { ServerAddress } from "../../src/kube/server-address.ts";
import { startApiServerProxy } from "./api-server-proxy.ts";
import { messageReader } from "./postgres-messages.ts";
import { tieSockets } from "./tie-sockets.ts";

/** A moment between a process and its servers: before one message of it is delivered, or before it hears the answer. */
export interface CrashPoint {
  /** Number of the message, from 1. */
  readonly message: number;
  readonly side: "before" | "after";
}

/**
 * The only way of one process to the API server and to Postgres, on which its messages are counted and one can be the
 * last. A message is a request to the API server with its answer, or what is sent to Postgres up to a Sync with its
 * answer: each statement, so each begin and each commit, is one of its own. Watches and logging in are none.
 */
export interface CrashWire extends AsyncDisposable {
  readonly databaseUrl: string;
  /** Path of a kubeconfig that goes this way. */
  readonly kubeconfig: string;
  /**
   * Counts from one again. At `point` it calls `strike`; from then on nothing passes, in either direction, until it is
   * armed again.
   */
  arm(point?: CrashPoint, strike?: () => void): void;
  /** What passed since, the message that was struck at last of all. */
  readonly messages: readonly string[];
}

/** Decides what becomes of each message. */
interface Turnstile {
  admit(label: string): "pass" | "hold" | "mute";
  /** The answer to the message that was to be muted is there. */
  answered(): void;
}

export async function startCrashWire(way: {
  readonly server: ServerAddress;
  readonly kubeconfig: string;
  readonly databaseUrl: string;
}): Promise<CrashWire> {
  await using stack = new AsyncDisposableStack();
  const database = new URL(way.databaseUrl);
  let messages: string[] = [];
  let armed: { readonly point: CrashPoint; readonly strike: () => void } | undefined;
  let isOver = false;

  const strike = (): void => {
    isOver = true;
    armed?.strike();
    armed = undefined;
    toApiServer.sever();
    toPostgres.cut();
  };
  const turnstile: Turnstile = {
    admit(label) {
      if (isOver) return "hold";
      messages.push(label);
      if (armed?.point.message !== messages.length) return "pass";
      if (armed.point.side === "after") return "mute";
      strike();
      return "hold";
    },
    answered: strike,
  };
  const toApiServer = stack.use(await startApiServerProxy(way.server));
  toApiServer.decide(({ method, url, isWatch }) => {
    const verdict = isWatch ? "pass" : turnstile.admit(`${method} ${url.split("?")[0]}`);
    if (verdict === "hold") return { lost: "call" };
    return verdict === "mute" ? { lost: "answer", answered: strike } : undefined;
  });
  const toPostgres = stack.use(
    await startPostgresWire({ host: database.hostname, port: Number(database.port) }, turnstile),
  );
  database.port = String(toPostgres.port);

  const owned = stack.move();
  return {
    databaseUrl: database.href,
    kubeconfig: toApiServer.kubeconfigLike(way.kubeconfig),
    arm(point, callback = () => undefined) {
      armed = point && { point, strike: callback };
      messages = [];
      isOver = false;
      toApiServer.mend();
    },
    get messages() {
      return messages;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

interface PostgresWire extends AsyncDisposable {
  readonly port: number;
  /** Closes all connections. */
  cut(): void;
}

async function startPostgresWire(target: { host: string; port: number }, turnstile: Turnstile): Promise<PostgresWire> {
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(target);
    tieSockets(sockets, client, upstream);
    forward(client, upstream, turnstile);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: portOf(server),
    cut,
    async [Symbol.asyncDispose]() {
      cut();
      server.close();
      await once(server, "close");
    },
  };
}

function portOf(server: Server): number {
  const address = server.address();
  return address !== null && typeof address === "object" ? address.port : 0;
}

/** Passes what is sent up to each Sync on as one message, and what comes back until the server is ready again. */
function forward(client: Socket, upstream: Socket, turnstile: Turnstile): void {
  let sent = 0;
  let answered = 0;
  let muted: number | undefined;
  let isLoggedIn = false;
  let unit: Buffer[] = [];
  let label = "";

  const read = messageReader((message, type) => {
    unit.push(message);
    label ||= labelOf(message, type);
    const isStatement = type === "S" || type === "Q";
    if (!isStatement && type !== "p" && type !== "X") return;
    const verdict = isStatement ? turnstile.admit(label) : "pass";
    const whole = Buffer.concat(unit);
    unit = [];
    label = "";
    if (verdict === "hold") return;
    if (isStatement) sent += 1;
    if (verdict === "mute") muted = sent;
    upstream.write(whole);
  });
  client.once("data", (startup: Buffer) => {
    upstream.write(startup);
    client.on("data", read);
  });
  upstream.on(
    "data",
    messageReader((message, type) => {
      const isMuted = muted !== undefined && answered + 1 >= muted;
      if (!isMuted) client.write(message);
      if (type !== "Z") return;
      if (isLoggedIn) answered += 1;
      isLoggedIn = true;
      if (answered === muted) turnstile.answered();
    }),
  );
}

/** The statement, or the name under which it was prepared, cut to a line. */
function labelOf(message: Buffer, type: string): string {
  const words = message.toString("utf8", 5).split("\0");
  const text = { Q: words[0], P: words[1], B: words[1] }[type] ?? "";
  return text.replaceAll(/\s+/g, " ").trim().slice(0, 70);
}
