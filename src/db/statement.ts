import { createHash } from "node:crypto";
import type { KeysteadError } from "../errors.ts";
import { sqlStateOf } from "./database-errors.ts";

/**
 * A statement whose text is always the same; made once, at module level. Postgres parses it once for each connection,
 * and plans it without its values from the sixth time on: for statements that have one good plan whatever they ask.
 */
export interface Statement {
  /**
   * Name of the prepared statement. It contains a hash of the text: behind a pooler a name may have been prepared by
   * another process of another version, and must then mean the same.
   */
  readonly name: string;
  readonly text: string;
}

/**
 * What a named statement can fail with although its text is right: it is unknown on this connection (26000: a pooler
 * changed it, or it was queued behind a failed first use), known already (42P05, a pooler again), or its plan's
 * columns changed (0A000, after a migration). Nothing was done, and without its name it works.
 */
const STALE_STATEMENT = new Set(["26000", "42P05", "0A000"]);

/** Names a statement after its purpose; the text's hash follows. */
export function statement(purpose: string, text: string): Statement {
  const hash = createHash("sha256").update(text).digest("hex").slice(0, 16);
  return { name: `${purpose}_${hash}`, text };
}

/** Whether the name was the trouble. */
export function isStaleStatement(error: KeysteadError): boolean {
  return STALE_STATEMENT.has(sqlStateOf(error) ?? "");
}
