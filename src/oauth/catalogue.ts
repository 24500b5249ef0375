import { readFileSync } from "node:fs";
import { GENERIC_PROVIDERS } from "./generic-providers.ts";
import type { Provider } from "./provider.ts";

/**
 * All of `catalogue/` in one file, as `npm run generate` has written and checked it: to parse three hundred files of YAML
 * takes half a second of a core, and one of JSON a millisecond.
 */
const named: readonly Provider[] = JSON.parse(readFileSync(new URL("catalogue.json", import.meta.url), "utf8"));

/** Every provider that an integration can be made for, by name. */
export const PROVIDERS: readonly Provider[] = [...GENERIC_PROVIDERS, ...named].toSorted((one, other) =>
  one.name < other.name ? -1 : 1,
);

const byName: ReadonlyMap<string, Provider> = new Map(PROVIDERS.map((provider) => [provider.name, provider]));

/** The provider of that name. */
export function findProvider(name: string): Provider | undefined {
  return byName.get(name);
}
