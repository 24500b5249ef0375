import { readFileSync, renameSync, writeFileSync } from "node:fs";
import type { ZodType } from "zod";

/**
 * What a state file holds, or `undefined` where there is none or it is not what this code writes: a file that cannot be
 * understood must not keep anybody from starting, so its contents count as unknown.
 */
export function readState<T>(path: string, schema: ZodType<T>): T | undefined {
  const text = readText(path);
  return text === undefined ? undefined : parseState(text, schema);
}

/** Like `readState` for text that was read already. */
export function parseState<T>(text: string, schema: ZodType<T>): T | undefined {
  try {
    return schema.safeParse(JSON.parse(text)).data;
  } catch {
    // Not JSON: the same as a shape that does not fit.
    return undefined;
  }
}

/** The text of a file, `undefined` when it does not exist (any more). */
export function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    // Whoever removed it in between decided for us.
    return undefined;
  }
}

/** Replaces a file in one step, so that neither a reader nor a crash ever meets half of it. For its owner only. */
export function writeText(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}
