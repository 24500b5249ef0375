import { setTimeout as delay } from "node:timers/promises";
import { asKeysteadError, hasCode } from "../errors.ts";
import { createConnectionSettings, type ConnectionOptions, type ConnectionSettings } from "./connection-settings.ts";
import { createPipelinedReader } from "./pipelined-reader.ts";
import { createSessionPool, type Queryable, type Session, type SqlValue } from "./session-pool.ts";
import { isStaleStatement, type Statement } from "./statement.ts";

/** Access to one Postgres, safe to use from any number of callers at once. It keeps no session state. */
export interface Database extends Queryable, AsyncDisposable {
  /**
   * Runs `work` in one transaction (read committed). It runs again, up to three times, after a serialization failure
   * or deadlock, so it must not do anything outside the database.
   */
  transaction<T>(work: (transaction: Queryable) => Promise<T>): Promise<T>;
  /**
   * A short read by a statement that is always the same, pipelined on connections of its own. When a connection breaks the
   * statement runs again, so all that it may write is the record that something was read. Rejects with
   * `database_timeout` after 5 s.
   */
  read<Row extends object>(statement: Statement, values: readonly SqlValue[]): Promise<Row[]>;
  /** A frequent write by a statement that is always the same, in a transaction of its own. */
  write(statement: Statement, values: readonly SqlValue[]): Promise<void>;
  /** Resolves when the database answers; rejects with `database_unavailable`. */
  ping(): Promise<void>;
}

/** How one process uses its database. */
export interface DatabaseOptions extends ConnectionOptions {
  /** Connections for writes and transactions. Default 10; the two of the pipelined reader come on top. */
  readonly poolSize?: number;
  /**
   * Whether frequent statements may be prepared under a name. Default true. False for a transaction-mode pooler that
   * does not support that (PgBouncer before 1.21): reads then cost about a third more, and nothing else changes.
   */
  readonly preparedStatements?: boolean;
}

const POOL_SIZE = 10;

/** The first run and three more: a conflict that comes four times in a row is contention that a caller should back off from. */
export const CONFLICT_ATTEMPTS = 4;

/** Spread of the pause before the n-th retry, so that two transactions that met do not meet again. */
const CONFLICT_PAUSE_MS = 10;

/** Opens nothing yet: connections are made when they are needed, and again after a failure. */
export function openDatabase(options: DatabaseOptions): Database {
  const settings = createConnectionSettings(options);
  const { preparedStatements = true } = options;
  const reader = createPipelinedReader({ settings, preparedStatements });
  const pool = createSessionPool(settings, options.poolSize ?? POOL_SIZE);
  const query = <Row extends object>(text: string, values: readonly SqlValue[] = []): Promise<Row[]> =>
    retryConflicts(() => pool.use((session) => session.query<Row>(text, values)));
  return {
    query,
    transaction: (work) => retryConflicts(() => pool.use((session) => runTransaction(session, settings, work))),
    read: (statement, values) => reader.read(statement, values),
    write: async (statement, values) => {
      const run = preparedStatements ? runNamed : runUnnamed;
      await retryConflicts(() => pool.use((session) => run(session, statement, values)));
    },
    ping: async () => void (await query("select 1")),
    async [Symbol.asyncDispose]() {
      await Promise.all([reader[Symbol.asyncDispose](), pool.end()]);
    },
  };
}

function runUnnamed(session: Session, { text }: Statement, values: readonly SqlValue[]): Promise<object[]> {
  return session.query(text, values);
}

async function runNamed(session: Session, statement: Statement, values: readonly SqlValue[]): Promise<object[]> {
  try {
    return await session.queryNamed(statement, values);
  } catch (thrown) {
    if (!isStaleStatement(asKeysteadError(thrown))) throw thrown;
    return runUnnamed(session, statement, values);
  }
}

async function runTransaction<T>(
  session: Session,
  settings: ConnectionSettings,
  work: (transaction: Queryable) => Promise<T>,
): Promise<T> {
  await session.query(settings.beginStatement());
  try {
    const result = await work(session);
    await session.query("commit");
    return result;
  } catch (thrown) {
    if (!session.isBroken()) await rollback(session);
    throw thrown;
  }
}

async function rollback(session: Session): Promise<void> {
  try {
    await session.query("rollback");
  } catch {
    // Closing the connection rolls back too; what went wrong first is what the caller has to know.
    session.discard();
  }
}

async function retryConflicts<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (thrown) {
      if (!hasCode(thrown, "database_conflict") || attempt === CONFLICT_ATTEMPTS) throw thrown;
      await delay(Math.random() * CONFLICT_PAUSE_MS * attempt);
    }
  }
}
