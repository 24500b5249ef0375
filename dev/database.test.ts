import { Client, escapeIdentifier } from "pg";
import { expect, inject, onTestFinished, test } from "vitest";
import { createDatabase } from "../test/support/servers.ts";
import { temporaryDirectory } from "../test/support/temporary-directory.ts";
import { runtimeUrl } from "./database.ts";

async function ask<T extends object>(url: string, text: string): Promise<T[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<T>(text)).rows;
  } finally {
    await client.end();
  }
}

/** Roles belong to the server and outlive the test's database. */
async function dropLogins(urls: readonly (string | undefined)[]): Promise<void> {
  const names = urls.filter((url) => url !== undefined).map((url) => escapeIdentifier(new URL(url).username));
  await ask(inject("postgres").ownerUrl, `drop role if exists ${names.join(", ")}`);
}

test("the login of a data folder has the rights of a running process, and is the same on every start", async () => {
  using folder = temporaryDirectory();
  await using database = await createDatabase();
  const url = await runtimeUrl(database.ownerUrl, folder.path, "keystead_runtime");
  onTestFinished(() => dropLogins([url]));
  await expect(ask(url ?? "", "select count(*)::int as rows from keystead.connections")).resolves.toEqual([
    { rows: 0 },
  ]);
  await expect(ask(url ?? "", "create table keystead.mine (id integer)")).rejects.toMatchObject({ code: "42501" });
  await expect(runtimeUrl(database.ownerUrl, folder.path, "keystead_runtime")).resolves.toBe(url);
});

test("two data folders on one server do not change each other's password", async () => {
  using folder = temporaryDirectory();
  using otherFolder = temporaryDirectory();
  await using database = await createDatabase();
  const one = await runtimeUrl(database.ownerUrl, folder.path, "keystead_runtime");
  const other = await runtimeUrl(database.ownerUrl, otherFolder.path, "keystead_runtime");
  onTestFinished(() => dropLogins([one, other]));
  for (const url of [one, other]) await expect(ask(url ?? "", "select 1 as one")).resolves.toEqual([{ one: 1 }]);
});

test("an owner that may not make roles is no error", async () => {
  using folder = temporaryDirectory();
  const superuser = inject("postgres").ownerUrl;
  const name = `owner_${Date.now()}`;
  await ask(superuser, `create role ${escapeIdentifier(name)} login password 'p'`);
  try {
    const url = new URL(superuser);
    Object.assign(url, { username: name, password: "p" });
    await expect(runtimeUrl(url.href, folder.path, "keystead_runtime")).resolves.toBeUndefined();
  } finally {
    await ask(superuser, `drop role ${escapeIdentifier(name)}`);
  }
});

test("a server that cannot be reached is named without its password", async () => {
  using folder = temporaryDirectory();
  await expect(
    runtimeUrl("postgres://me:canary5d1@127.0.0.1:1/d", folder.path, "keystead_runtime"),
  ).rejects.toMatchObject({
    code: "part_failed",
    message: expect.stringMatching(/^Postgres at 127\.0\.0\.1:1\/d cannot be reached: (?!.*canary5d1)/),
  });
});
