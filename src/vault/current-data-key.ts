import { detailOf } from "../db/database-errors.ts";
import type { Database } from "../db/database.ts";
import { hasCode } from "../errors.ts";
import type { EnvironmentKeys } from "./environment-keys.ts";

/** The first run and two more: a second replacement within one write is a coincidence, a third is trouble. */
const ATTEMPTS = 3;

/**
 * A database that makes the process forget the keys of an environment when a write was refused because its data key was
 * replaced meanwhile, so that whoever seals again does so with the new one.
 */
export function forgettingReplacedKeys(database: Database, environmentKeys: Pick<EnvironmentKeys, "forget">): Database {
  const watched = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (thrown) {
      const environmentId = hasCode(thrown, "data_key_replaced") ? detailOf(thrown) : undefined;
      if (environmentId !== undefined) environmentKeys.forget(environmentId);
      throw thrown;
    }
  };
  return {
    ...database,
    query: (text, values) => watched(database.query(text, values)),
    transaction: (work) => watched(database.transaction(work)),
    write: (statement, values) => watched(database.write(statement, values)),
    [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
  };
}

/** Runs `work`, which seals and then writes, again when a data key was replaced in between. */
export async function withCurrentDataKey<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (thrown) {
      if (!hasCode(thrown, "data_key_replaced") || attempt === ATTEMPTS) throw thrown;
    }
  }
}
