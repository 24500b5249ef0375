import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { KeysteadError } from "../errors.ts";
import { type Provider, providerSchema } from "./provider.ts";

const EXTENSION = ".yaml";

/** The providers of a folder, one for each file, by name. Throws `internal_error` for a file that is none, by its name. */
export function readCatalogue(folder: string): Provider[] {
  return readdirSync(folder)
    .toSorted()
    .map((file) => parseProvider(file.replace(EXTENSION, ""), readFileSync(join(folder, file), "utf8")))
    .toSorted((one, other) => (one.name < other.name ? -1 : 1));
}

/** A provider out of the text of its file. Throws `internal_error` that names it and every member at fault. */
export function parseProvider(name: string, text: string): Provider {
  try {
    return { name, ...providerSchema.parse(parse(text)) };
  } catch (cause) {
    throw new KeysteadError("internal_error", `catalogue/${name}${EXTENSION} is no provider: ${String(cause)}`, {
      cause,
    });
  }
}

/** The file that processes read: a provider on each line, so that a change of one is a change of its line. */
export function catalogueJson(providers: readonly Provider[]): string {
  return `[\n${providers.map((provider) => JSON.stringify(provider)).join(",\n")}\n]\n`;
}
