import { Pool, type PoolClient } from "pg";
import type { ConnectionSettings } from "./connection-settings.ts";
import { connectionSurvives, databaseError } from "./database-errors.ts";
import type { Statement } from "./statement.ts";

/** A parameter of a statement. Buffers travel as bytes, everything else as text. */
export type SqlValue = string | number | boolean | Date | Buffer | null | readonly (string | null)[];

/** Something that runs single statements: a database, or one of its transactions. */
export interface Queryable {
  /** Rows of one statement. Rejects with a `database_*` error. */
  query<Row extends object>(text: string, values?: readonly SqlValue[]): Promise<Row[]>;
}

/** One connection while somebody has it. */
export interface Session extends Queryable {
  /** The same, prepared under a name; see `Statement`. */
  queryNamed<Row extends object>(statement: Statement, values: readonly SqlValue[]): Promise<Row[]>;
  /** Whether the connection failed, or was discarded, and must not be used again. */
  isBroken(): boolean;
  /** Closes the connection instead of giving it back. */
  discard(): void;
}

/** Connections to lend. */
export interface SessionPool {
  /** Lends a connection to `work`. Waits for one while all are lent, at most as long as connecting may take. */
  use<T>(work: (session: Session) => Promise<T>): Promise<T>;
  end(): Promise<void>;
}

/** Idle connections are kept this long: a controller that works in bursts does not log in for each. */
const IDLE_TIMEOUT_MS = 60_000;

/**
 * A pool of at most `size` connections. When the other side turns out to refuse start-up parameters it is replaced by
 * one that sends none; those who still hold a connection of the first keep it until they are done.
 */
export function createSessionPool(settings: ConnectionSettings, size: number): SessionPool {
  const retired: Promise<void>[] = [];
  let pool = createPool(settings, size);
  const connect = async (): Promise<PoolClient> => {
    const current = pool;
    try {
      return await current.connect();
    } catch (thrown) {
      if (settings.droppedStartupLimits(thrown)) {
        retired.push(current.end());
        pool = createPool(settings, size);
      }
      // Whoever failed on the pool that was replaced meanwhile tries the new one too.
      if (pool === current) throw databaseError(thrown);
      return connect();
    }
  };
  return {
    async use(work) {
      const client = await connect();
      const session = createSession(client);
      try {
        return await work(session);
      } finally {
        client.release(session.isBroken());
      }
    },
    end: async () => void (await Promise.all([pool.end(), ...retired])),
  };
}

function createPool(settings: ConnectionSettings, size: number): Pool {
  const pool = new Pool({ ...settings.clientConfig(), max: size, idleTimeoutMillis: IDLE_TIMEOUT_MS });
  // An idle connection that dies is removed from the pool; without a listener it would end the process instead.
  pool.on("error", () => undefined);
  // The same for one that dies while it is lent: its statement fails, and that is where it is dealt with.
  pool.on("connect", (client) => client.on("error", () => undefined));
  return pool;
}

function createSession(client: PoolClient): Session {
  let broken = false;
  const run = async <Row extends object>(query: { name?: string; text: string }, values: readonly SqlValue[]) => {
    try {
      const result = await client.query<Row>({ ...query, values: [...values] });
      return result.rows;
    } catch (thrown) {
      const error = databaseError(thrown);
      if (!connectionSurvives(error)) broken = true;
      throw error;
    }
  };
  return {
    query: (text, values = []) => run({ text }, values),
    queryNamed: (statement, values) => run(statement, values),
    isBroken: () => broken,
    discard: () => {
      broken = true;
    },
  };
}
