import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { outdatedFiles } from "./generated-files.ts";

// The executable behind `npm run generate`: writes every generated file; with --check it only tells which ones are not in step.
const root = join(import.meta.dirname, "..");
const outdated = outdatedFiles(root);

if (process.argv.includes("--check")) {
  for (const file of outdated)
    process.stdout.write(`${file.path} is not what ${file.source} makes: run \`npm run generate\` and commit it.\n`);
  process.exitCode = outdated.length > 0 ? 1 : 0;
} else {
  for (const file of outdated) {
    const path = join(root, file.path);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, file.text);
    process.stdout.write(`wrote ${file.path}\n`);
  }
}
