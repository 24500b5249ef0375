import { describeConfig } from "../src/config-docs.ts";
import { generateCrds } from "../src/resources/crd.ts";

/** A committed file that code makes. */
export interface GeneratedFile {
  /** Relative to the checkout. */
  readonly path: string;
  readonly text: string;
  /** What to edit instead. */
  readonly source: string;
}

/** Every generated file of the repository. */
export function generatedFiles(): GeneratedFile[] {
  const crds = [...generateCrds()].map(([path, text]) => ({ path, text, source: "src/resources/" }));
  return [...crds, { path: "docs/configuration.md", text: describeConfig(), source: "src/config-variables.ts" }];
}
