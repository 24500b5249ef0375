import { chmodSync, mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { Client } from "pg";
import { expect, test } from "vitest";
import { eventually } from "../../test/support/eventually.ts";
import { temporaryDirectory } from "../../test/support/temporary-directory.ts";
import { createChildProcesses } from "../processes/child-processes.ts";
import { startPostgres } from "./postgres.ts";

async function ask<T extends object>(url: string, text: string): Promise<T[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<T>(text)).rows;
  } finally {
    await client.end();
  }
}

/** Nobody but its owner can walk through it, like /root. */
function privateFolder(parent: string): string {
  const path = join(parent, "private");
  mkdirSync(path);
  chmodSync(path, 0o700);
  return join(path, "postgres");
}

test(
  "Postgres runs below a private folder, whoever starts it, and keeps what was committed through a SIGKILL",
  { timeout: 60_000 },
  async () => {
    using folder = temporaryDirectory();
    const directory = privateFolder(folder.path);
    const children = createChildProcesses(folder.path);
    const options = { directory, durable: true, maxConnections: 20 };
    const first = await startPostgres({ ...options, children });
    await ask(first.superuserUrl, "create table kept as select generate_series(1, 100000) as id");
    process.kill(first.part.pid, "SIGKILL");
    await first.part.ended;
    // Its own children notice a moment later; until then they hold what the next postmaster needs.
    await eventually(() => expect(statSync(`/proc/${first.part.pid}`, { throwIfNoEntry: false })).toBeUndefined());
    await children[Symbol.asyncDispose]();

    await using again = createChildProcesses(folder.path);
    const second = await startPostgres({ ...options, children: again });
    expect(second.superuserUrl).toBe(first.superuserUrl);
    await expect(ask(second.superuserUrl, "select count(*)::int as rows from kept")).resolves.toEqual([
      { rows: 100_000 },
    ]);
  },
);

test("it never runs as root, listens on loopback only, and wants a password", { timeout: 60_000 }, async () => {
  using folder = temporaryDirectory();
  await using children = createChildProcesses(folder.path);
  const { superuserUrl, part } = await startPostgres({
    directory: join(folder.path, "postgres"),
    children,
    durable: false,
    maxConnections: 20,
  });
  expect(statSync(`/proc/${part.pid}`).uid).not.toBe(0);
  await expect(ask(superuserUrl, "show listen_addresses")).resolves.toEqual([{ listen_addresses: "127.0.0.1" }]);
  await expect(ask(superuserUrl, "show unix_socket_directories")).resolves.toEqual([{ unix_socket_directories: "" }]);
  const withoutPassword = new URL(superuserUrl);
  withoutPassword.password = "wrong";
  await expect(ask(withoutPassword.href, "select 1")).rejects.toMatchObject({ code: "28P01" });
});

test("a first start that was killed half-way is begun again", { timeout: 60_000 }, async () => {
  using folder = temporaryDirectory();
  const directory = join(folder.path, "postgres");
  mkdirSync(join(directory, "data.unfinished", "base"), { recursive: true });
  await using children = createChildProcesses(folder.path);
  const { superuserUrl } = await startPostgres({ directory, children, durable: false, maxConnections: 20 });
  await expect(ask(superuserUrl, "select 1 as one")).resolves.toEqual([{ one: 1 }]);
});
