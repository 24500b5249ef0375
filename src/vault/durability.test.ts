import { expect, test } from "vitest";
import { query } from "../../test/support/database.ts";
import { createTestVault, type TestVault } from "../../test/support/vault.ts";
import { startTransactionPooler } from "../../test/support/transaction-pooler.ts";
import { Secret } from "../crypto/secret.ts";
import { statement } from "../db/statement.ts";

const SHOW = statement("show", "select current_setting('synchronous_commit') as setting");

/** As an operator does who wants a faster server, and thinks of others that use it. */
async function acknowledgeEarly({ ownerUrl, url }: TestVault): Promise<void> {
  await query(ownerUrl, `alter database ${new URL(url).pathname.slice(1)} set synchronous_commit = off`);
}

test("on a server that acknowledges commits before they are on disk, writes, transactions and reads wait all the same", async () => {
  await using context = await createTestVault();
  await acknowledgeEarly(context);
  const { database } = await context.another();
  const settings = await Promise.all([
    database.query(SHOW.text),
    database.transaction((transaction) => transaction.query(SHOW.text)),
    database.read(SHOW, []),
  ]);
  expect(settings).toEqual([[{ setting: "on" }], [{ setting: "on" }], [{ setting: "on" }]]);
});

test("where that cannot be asked for, through a pooler, nothing is served until the server waits by itself", async () => {
  await using context = await createTestVault();
  await using pooler = await startTransactionPooler(context.url);
  await expect(context.another({ url: new Secret(pooler.url) })).resolves.toBeDefined();

  await acknowledgeEarly(context);
  await using impatient = await startTransactionPooler(context.url);
  await expect(context.another({ url: new Secret(impatient.url) })).rejects.toMatchObject({
    code: "database_not_durable",
    message: expect.stringContaining("synchronous_commit"),
  });
});

test("a URL that asks for a stricter commit has it", async () => {
  await using context = await createTestVault();
  const url = new URL(context.url);
  url.searchParams.set("options", "-c synchronous_commit=remote_apply");
  const { database } = await context.another({ url: new Secret(url.href) });
  expect(await database.query(SHOW.text)).toEqual([{ setting: "remote_apply" }]);
});
