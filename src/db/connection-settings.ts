import { Socket } from "node:net";
import { TypeOverrides, types, type ClientConfig } from "pg";
import { KeysteadError } from "../errors.ts";
import type { Secret } from "../crypto/secret.ts";
import { sqlStateOf } from "./database-errors.ts";

/** How long a new connection may take, TCP, TLS and login together. A failover moves an address within this. */
const CONNECT_TIMEOUT_MS = 5_000;

/** Longer than any statement here should take by two orders of magnitude; only a lock or a dying disk gets there. */
const STATEMENT_TIMEOUT_MS = 10_000;

/**
 * How long a read may take, all waiting and asking again in it. A thousand times what one takes on a busy machine, so that
 * a slow disk is survived; and half of the 10 s after which impatient HTTP clients give up, so that they are told of a
 * silent database while they still listen, and can ask again.
 */
export const READ_LIMIT_MS = 5_000;

/** Part of it after which the server ends the statement: before the client does, which costs the connection. */
const READ_SERVER_SHARE = 0.8;

/** A transaction whose process hangs must not hold its row locks longer than a statement may take. */
const IDLE_IN_TRANSACTION_TIMEOUT_MS = 10_000;

/** The client waits this much longer than the server: it speaks only when the server cannot (a dead link). */
const CLIENT_TIMEOUT_MARGIN_MS = 2_000;

/**
 * A commit is answered when it is on the server's disk, whatever the server's default is. `options` of the URL win, which may
 * ask for more (`remote_apply`).
 */
const DURABLE_COMMITS = "-c synchronous_commit=on";

const PROTOCOL_VIOLATION = "08P01";

/** Where the database is, and how long a statement may take there. */
export interface ConnectionOptions {
  /** `postgres://` URL. TLS as the URL says: `sslmode=verify-full&sslrootcert=...`. */
  readonly url: Secret;
  /** Shown in `pg_stat_activity`. */
  readonly applicationName: string;
  /** Default 10 s. */
  readonly statementTimeoutMs?: number;
  /** Default 5 s. */
  readonly readLimitMs?: number;
  /**
   * Breaks every connection and every later attempt to connect: on a dead link neither a statement nor a polite goodbye is
   * answered. Without it closing waits for the answer.
   */
  readonly cutOff?: AbortSignal;
}

/** What every connection of one `Database` is made with. */
export interface ConnectionSettings {
  clientConfig(): ClientConfig;
  /** For a connection of the pipelined reader, which minds the client's clock itself. */
  readConfig(): ClientConfig;
  /** Gives the socket of a new connection, for whoever has to break it. */
  openSocket(): Socket;
  /** By the client's clock. */
  readonly readLimitMs: number;
  /**
   * The statement that opens a transaction. It sets the limits, for this transaction only, where they could not be set
   * at login; `set` without `local` would leak to whoever gets the pooler's connection next.
   */
  beginStatement(): string;
  /**
   * To be asked when connecting failed: true once, when the other side refuses start-up parameters, as transaction-mode
   * poolers do. Connecting again then does without them.
   */
  droppedStartupLimits(thrown: unknown): boolean;
}

/** Throws `configuration_invalid` for a text that is no URL; the text itself, which holds a password, is not repeated. */
export function createConnectionSettings(options: ConnectionOptions): ConnectionSettings {
  const connectionString = options.url.reveal();
  if (!/^postgres(ql)?:\/\//.test(connectionString) || !URL.canParse(connectionString)) {
    throw new KeysteadError("configuration_invalid", "the database URL is no postgres:// URL");
  }
  const { statementTimeoutMs = STATEMENT_TIMEOUT_MS, readLimitMs = READ_LIMIT_MS } = options;
  const openSocket = createSockets(options.cutOff);
  let limitsAtStartup = true;
  const configFor = (serverLimitMs: number) => ({
    connectionString,
    stream: openSocket,
    application_name: options.applicationName,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    types: resultTypes,
    ...(limitsAtStartup && {
      options: DURABLE_COMMITS,
      statement_timeout: serverLimitMs,
      idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_TIMEOUT_MS,
    }),
  });
  return {
    clientConfig: () => ({
      ...configFor(statementTimeoutMs),
      query_timeout: statementTimeoutMs + CLIENT_TIMEOUT_MARGIN_MS,
    }),
    readConfig: () => configFor(Math.min(statementTimeoutMs, readLimitMs * READ_SERVER_SHARE)),
    openSocket,
    readLimitMs,
    beginStatement() {
      if (limitsAtStartup) return "begin";
      return `begin; set local statement_timeout = ${statementTimeoutMs}; set local idle_in_transaction_session_timeout = ${IDLE_IN_TRANSACTION_TIMEOUT_MS}`;
    },
    droppedStartupLimits(thrown) {
      if (!limitsAtStartup || sqlStateOf(thrown) !== PROTOCOL_VIOLATION) return false;
      limitsAtStartup = false;
      return true;
    },
  };
}

/** Gives new sockets, until `cutOff` breaks them all. */
function createSockets(cutOff: AbortSignal | undefined): () => Socket {
  const open = new Set<Socket>();
  cutOff?.addEventListener("abort", () => open.forEach(cut), { once: true });
  return () => {
    const socket = new Socket();
    open.add(socket);
    // Not before `pg` has begun to connect it, and listens for its errors.
    if (cutOff?.aborted) setImmediate(cut, socket);
    return socket.once("close", () => open.delete(socket));
  };
}

function cut(socket: Socket): void {
  socket.destroy(
    new KeysteadError("database_unavailable", "the connection to the database was cut off: the process ends"),
  );
}

/** Counts and revisions are whole numbers far below 2^53; `pg` would hand them over as text. */
const resultTypes = new TypeOverrides();
resultTypes.setTypeParser(types.builtins.INT8, parseInt8);
resultTypes.setTypeParser(types.builtins.TIMESTAMPTZ, parseInstant);

function parseInt8(text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value)) return value;
  throw new KeysteadError("database_error", `the number ${text} from the database is too large`);
}

const parseAnyInstant: (text: string) => Date = types.getTypeParser(types.builtins.TIMESTAMPTZ);

/** `2026-11-24 08:00:00.123456+00`, as a session in UTC writes it, is all but ISO 8601, which is read ten times as fast. */
function parseInstant(text: string): Date {
  const isUsual = text[10] === " " && text.endsWith("+00");
  return isUsual ? new Date(`${text.slice(0, 10)}T${text.slice(11, -3)}Z`) : parseAnyInstant(text);
}
