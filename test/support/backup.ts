import { withClient } from "./database.ts";

/** A copy of a database as it was at one moment. */
export interface Backup {
  /** Puts the database back as it was. To be called while no process uses it. */
  restore(): Promise<void>;
}

/** Takes a copy, as `pg_dump` or a snapshot would. To be called while no process uses the database. */
export async function takeBackup(ownerUrl: string): Promise<Backup> {
  const name = new URL(ownerUrl).pathname.slice(1);
  const copy = `${name}_backup`;
  await onServer(ownerUrl, [`create database ${copy} template ${name}`]);
  return {
    restore: () =>
      onServer(ownerUrl, [`drop database ${name} with (force)`, `alter database ${copy} rename to ${name}`]),
  };
}

async function onServer(ownerUrl: string, statements: readonly string[]): Promise<void> {
  const url = new URL(ownerUrl);
  url.pathname = "/postgres";
  await withClient(url.href, async (client) => {
    for (const statement of statements) await client.query(statement);
  });
}
