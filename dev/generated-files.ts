import { join } from "node:path";
import { describeConfig } from "../src/config-docs.ts";
import { generateCrds } from "../src/resources/crd.ts";
import { readText } from "./state-file.ts";

/** A committed file that code makes. */
export interface GeneratedFile {
  /** Relative to the checkout. */
  readonly path: string;
  readonly text: string;
  /** What to edit instead. */
  readonly source: string;
}

/** Every generated file of the repository. */
function generatedFiles(): GeneratedFile[] {
  const crds = [...generateCrds()].map(([path, text]) => ({ path, text, source: "src/resources/" }));
  return [...crds, { path: "docs/configuration.md", text: describeConfig(), source: "src/config-variables.ts" }];
}

/** Those of the checkout that are missing, or not what their source makes. */
export function outdatedFiles(root: string): GeneratedFile[] {
  return generatedFiles().filter((file) => readText(join(root, file.path)) !== file.text);
}
