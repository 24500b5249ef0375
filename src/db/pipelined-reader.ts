import { KeysteadError } from "../errors.ts";
import type { ConnectionSettings } from "./connection-settings.ts";
import { connectionSurvives, databaseError } from "./database-errors.ts";
import { createReadLanes, LANES, type ReadConnection } from "./read-lanes.ts";
import type { SqlValue } from "./session-pool.ts";
import { isStaleStatement, type Statement } from "./statement.ts";

/** Short reads on connections of their own. */
export interface PipelinedReader extends AsyncDisposable {
  /**
   * Rows of a statement. Rejects with a `database_*` error: at once when the database is known to be away, and with
   * `database_timeout` when the limit of a read is over. Whether the statement ran is then not known.
   */
  read<Row extends object>(statement: Statement, values: readonly SqlValue[]): Promise<Row[]>;
}

/** How the reader connects. */
export interface PipelinedReaderOptions {
  readonly settings: ConnectionSettings;
  readonly preparedStatements: boolean;
  /** Milliseconds; for tests. */
  readonly now?: () => number;
}

/** A read, from the moment somebody asks until it is answered or given up. */
interface Asked {
  readonly text: string;
  name: string | undefined;
  readonly values: SqlValue[];
  /** Where it was sent. */
  connection: ReadConnection | undefined;
  givenUp: boolean;
}

/**
 * Runs short reads on two connections without waiting for one answer before the next question: twice the rate of a
 * pool at half its p99. Answers come in order, so a slow statement delays those behind it: short reads only.
 *
 * When a connection breaks, everything in flight on it is asked again on another, and once more if that turns out to have
 * broken too, as both do when a server ends. A statement may have run and only its answer been lost, so whatever it
 * records may be recorded again. A read whose limit is over is not asked again, and its connection is replaced: from
 * here a dead link looks like a server that thinks.
 */
export function createPipelinedReader(options: PipelinedReaderOptions): PipelinedReader {
  const { settings, preparedStatements, now = Date.now } = options;
  const lanes = createReadLanes(settings, now);

  const askOnce = async <Row extends object>(asked: Asked): Promise<Row[]> => {
    const connection = await lanes.join();
    try {
      if (asked.givenUp) throw tooLate(settings);
      asked.connection = connection;
      const { text, name, values } = asked;
      const result = await connection.client.query<Row>(name === undefined ? { text, values } : { name, text, values });
      return result.rows;
    } catch (thrown) {
      const error = databaseError(thrown);
      // At once, not when the socket gets around to say so: what is asked again must not be asked here.
      if (asked.connection === connection && !connectionSurvives(error)) lanes.abandon(connection);
      throw error;
    } finally {
      lanes.leave(connection);
    }
  };

  const ask = async <Row extends object>(asked: Asked): Promise<Row[]> => {
    for (let breaks = 0; ;) {
      try {
        return await askOnce<Row>(asked);
      } catch (thrown) {
        const error = databaseError(thrown);
        if (asked.givenUp) throw error;
        if (isStaleStatement(error) && asked.name !== undefined) {
          asked.name = undefined;
        } else if (asked.connection !== undefined && !connectionSurvives(error) && breaks < LANES) {
          asked.connection = undefined;
          breaks += 1;
        } else {
          throw error;
        }
      }
    }
  };

  return {
    read<Row extends object>({ name, text }: Statement, values: readonly SqlValue[]) {
      const usedName = preparedStatements ? name : undefined;
      const asked: Asked = { text, name: usedName, values: [...values], connection: undefined, givenUp: false };
      return new Promise<Row[]>((resolve, reject) => {
        const giveUp = (): void => {
          asked.givenUp = true;
          if (asked.connection) lanes.abandon(asked.connection);
          reject(tooLate(settings));
        };
        const limit = setTimeout(giveUp, settings.readLimitMs);
        const answered = ask<Row>(asked).finally(() => clearTimeout(limit));
        answered.then(resolve, reject);
      });
    },
    [Symbol.asyncDispose]: () => lanes[Symbol.asyncDispose](),
  };
}

function tooLate({ readLimitMs }: ConnectionSettings): KeysteadError {
  return new KeysteadError("database_timeout", `the database did not answer a read within ${readLimitMs} ms`);
}
