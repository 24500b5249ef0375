import { join } from "node:path";
import { describeConfig } from "../src/config-docs.ts";
import { describeProviders } from "../src/oauth/catalogue-docs.ts";
import { catalogueJson, readCatalogue } from "../src/oauth/catalogue-files.ts";
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
  const providers = readCatalogue(join(import.meta.dirname, "..", "catalogue"));
  return [
    ...crds,
    { path: "docs/configuration.md", text: describeConfig(), source: "src/config-variables.ts" },
    { path: "src/oauth/catalogue.json", text: catalogueJson(providers), source: "catalogue/" },
    { path: "docs/providers.md", text: describeProviders(providers), source: "catalogue/" },
  ];
}

/** Those of the checkout that are missing, or not what their source makes. */
export function outdatedFiles(root: string): GeneratedFile[] {
  return generatedFiles().filter((file) => readText(join(root, file.path)) !== file.text);
}
