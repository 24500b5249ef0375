import { execFile } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryDirectory } from "../test/support/temporary-directory.ts";

const ROOT = join(import.meta.dirname, "..");

/** What the files of a folder of src/ may import of the other folders, and of the packages that speak to somebody. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  crypto: [],
  resources: [],
  telemetry: [],
  db: ["crypto", "pg"],
  kube: ["@kubernetes/client-node"],
  // Beside one file of crypto/, the one of `Secret`.
  outbound: [],
  oauth: ["crypto", "outbound", "resources"],
  vault: ["crypto", "db"],
  workers: ["crypto", "db", "oauth", "outbound", "telemetry", "vault"],
  controllers: ["crypto", "db", "kube", "oauth", "resources", "telemetry", "vault"],
  api: ["crypto", "db", "fastify", "oauth", "outbound", "resources", "telemetry", "vault"],
};

const FOLDERS = Object.keys(ALLOWED);
const PACKAGES = ["@kubernetes/client-node", "fastify", "pg"];
/** The composition root, which imports all of them. */
const ROOT_FILES = ["../main.ts", "../serve-api.ts", "../serve.ts"];

/** Lints one file with these imports in a folder of src/, by the rules of this checkout. Resolves with the lines refused. */
async function refused(folder: string, imports: readonly string[]): Promise<readonly string[]> {
  using checkout = temporaryDirectory();
  mkdirSync(join(checkout.path, "src", folder), { recursive: true });
  cpSync(join(ROOT, ".oxlintrc.json"), join(checkout.path, ".oxlintrc.json"));
  writeFileSync(join(checkout.path, "src", folder, "file.ts"), imports.map((from) => `import "${from}";\n`).join(""));
  const oxlint = join(ROOT, "node_modules", ".bin", "oxlint");
  const said = await new Promise<string>((resolve) => {
    execFile(oxlint, ["--format", "unix"], { cwd: checkout.path }, (_, stdout) => resolve(stdout));
  });
  return [...said.matchAll(/file\.ts:(\d+):.*no-restricted-imports/g)].map(
    (found) => imports[Number(found[1]) - 1] ?? "",
  );
}

test("every folder of src/ has its import directions", () => {
  const folders = readdirSync(join(ROOT, "src"), { withFileTypes: true }).filter((entry) => entry.isDirectory());
  expect(FOLDERS).toEqual(expect.arrayContaining(folders.map(({ name }) => name)));
});

test.each(Object.entries(ALLOWED))(
  "the linter lets src/%s import %j and refuses every other folder",
  async (folder, allowed) => {
    const others = FOLDERS.filter((name) => name !== folder);
    const pathOf = (name: string): string => (PACKAGES.includes(name) ? name : `../${name}/file.ts`);
    const imports = [...others, ...PACKAGES].map(pathOf);
    const found = await refused(folder, [...imports, ...ROOT_FILES, "../errors.ts", "./own.ts"]);
    expect(imports.filter((path) => !found.includes(path)).toSorted()).toEqual(allowed.map(pathOf).toSorted());
    expect(found.filter((path) => !imports.includes(path)).toSorted()).toEqual(ROOT_FILES);
  },
);

test("of all that is in crypto/, src/outbound may import Secret", async () => {
  await expect(refused("outbound", ["../crypto/secret.ts", "../crypto/key-ring.ts"])).resolves.toEqual([
    "../crypto/key-ring.ts",
  ]);
});
