import { Client } from "pg";
import { expect, test } from "vitest";
import { createDatabase, createEmptyDatabase, createNamespace, kubectl } from "./servers.ts";

async function ask<T extends object>(url: string, text: string): Promise<T[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<T>(text)).rows;
  } finally {
    await client.end();
  }
}

test("two databases have the current schema and share nothing", async () => {
  await using one = await createDatabase();
  await using other = await createDatabase();
  await ask(one.ownerUrl, "create table keystead.only_here (id integer)");
  const tables = "select tablename from pg_tables where schemaname = 'keystead' order by 1";
  const names = (await ask<{ tablename: string }>(other.ownerUrl, tables)).map((row) => row.tablename);
  expect(names).toContain("connections");
  expect(names).not.toContain("only_here");
});

test("the running login has the rights of a running process and no DDL", async () => {
  await using database = await createDatabase();
  await expect(ask(database.url, "select count(*) from keystead.connections")).resolves.toHaveLength(1);
  await expect(ask(database.url, "create table keystead.mine (id integer)")).rejects.toMatchObject({ code: "42501" });
});

test("a disposed database is gone, also while somebody is connected to it", async () => {
  const database = await createEmptyDatabase();
  const client = new Client({ connectionString: database.ownerUrl });
  const cut = new Promise((resolve) => client.on("error", resolve));
  await client.connect();
  await database[Symbol.asyncDispose]();
  await expect(cut).resolves.toBeInstanceOf(Error);
  await expect(ask(database.ownerUrl, "select 1")).rejects.toMatchObject({ code: "3D000" });
});

test("a namespace of its own is there, and kubectl's complaint is the error", async () => {
  const namespace = await createNamespace("servers");
  await expect(kubectl(["get", "namespace", namespace.name, "-o", "name"])).resolves.toContain(namespace.name);
  await expect(kubectl(["-n", namespace.name, "get", "secret", "missing"])).rejects.toThrow("not found");
});
