import { expect, test } from "vitest";
import { apiKey, createTestVault, storeExample, type TestVault } from "../../test/support/vault.ts";
import { RESERVED_ENCRYPTIONS } from "./encryption-budget.ts";
import { storeConnection } from "./store-connection.ts";

test("what the database counts is never less than what was sealed, in however many processes", async () => {
  await using context = await createTestVault();
  const { desired } = await storeExample(context.vault);
  expect(await countOf(context)).toBe(RESERVED_ENCRYPTIONS);
  const another = await context.another();
  for (let edit = 0; edit < 3; edit += 1)
    await storeConnection(another, { ...desired, credentials: apiKey(`edit ${edit}`) });
  expect(await countOf(context)).toBe(2 * RESERVED_ENCRYPTIONS);
});

test("a data key is not used beyond 2^32 encryptions", async () => {
  await using context = await createTestVault();
  const { desired } = await storeExample(context.vault);
  await context.database.query("update keystead.data_keys set encryption_count = $1", [2 ** 32 - 10]);
  const fresh = await context.another();
  const edit = { ...desired, credentials: apiKey("one too many") };
  await expect(storeConnection(fresh, edit)).rejects.toMatchObject({ code: "data_key_exhausted" });
  // What needs no encryption goes on.
  expect(await storeConnection(fresh, desired)).toMatchObject({ changed: false });
});

async function countOf(context: TestVault): Promise<number | undefined> {
  const [row] = await context.database.query<{ n: number }>("select encryption_count as n from keystead.data_keys");
  return row?.n;
}
