import type { SqlValue } from "./session-pool.ts";

/** The text of a `values` list and its parameters. */
export interface ValuesList {
  readonly text: string;
  readonly values: readonly SqlValue[];
}

/**
 * A multi-row `values` list of plain parameters, the fastest way to hand many rows to Postgres through `pg`: bytes stay
 * bytes, where arrays for `unnest` would carry them as text. Types are given once: the first row decides for all.
 *
 * @param types SQL type of each column. Rows times columns must stay below 65,536, the protocol's limit.
 */
export function valuesList(types: readonly string[], rows: readonly (readonly SqlValue[])[]): ValuesList {
  const width = types.length;
  const lines = rows.map((_, row) => {
    const cells = types.map((type, column) => `$${row * width + column + 1}${row === 0 ? `::${type}` : ""}`);
    return `(${cells.join(", ")})`;
  });
  return { text: `values ${lines.join(",\n")}`, values: rows.flat() };
}
