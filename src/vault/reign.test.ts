import { expect, test } from "vitest";
import { actorOf, apiKey, createTestVault, desiredConnection, desiredEnvironment } from "../../test/support/vault.ts";
import { desiredIntegration, idsOf, storeExample, type TestVault } from "../../test/support/vault.ts";
import { withClient } from "../../test/support/database.ts";
import { eventually } from "../../test/support/eventually.ts";
import type { ReigningVault } from "./context.ts";
import { orphanConnection } from "./orphan-connection.ts";
import type { Owner } from "./owner.ts";
import { purgeOwned } from "./purge-owned.ts";
import { readConnection } from "./read-connection.ts";
import { createReign } from "./reign.ts";
import { createReigningVault } from "./reigning-vault.ts";
import { softDeleteConnection } from "./soft-delete-connection.ts";
import { softDeleteEnvironment } from "./soft-delete-environment.ts";
import { softDeleteIntegration } from "./soft-delete-integration.ts";
import { storeConnection } from "./store-connection.ts";
import { storeEnvironment } from "./store-environment.ts";
import { storeIntegration } from "./store-integration.ts";

type Example = Awaited<ReturnType<typeof storeExample>>;
type Write = (vault: ReigningVault, example: Example) => Promise<unknown>;

function purgeOptions(owner: Owner) {
  return { actor: actorOf(owner), pace: { signal: new AbortController().signal, share: 1 } };
}

/** All that writes for a resource. */
const WRITES: readonly { readonly what: string; readonly write: Write }[] = [
  {
    what: "a new connection",
    write: (vault, example) => storeConnection(vault, desiredConnection(idsOf(example), { connectionId: "second" })),
  },
  {
    what: "other credentials of a connection",
    write: (vault, { desired }) => storeConnection(vault, { ...desired, credentials: apiKey("an older one") }),
  },
  {
    what: "the version of a connection's Secret",
    write: (vault, { desired }) =>
      storeConnection(vault, { ...desired, sources: [{ name: "acme", uid: "b", resourceVersion: "2" }] }),
  },
  {
    what: "the deletion of a connection",
    write: (vault, { desired: { owner } }) => softDeleteConnection(vault, owner.uid, actorOf(owner)),
  },
  {
    what: "a new integration",
    write: (vault, { integration }) =>
      storeIntegration(vault, desiredIntegration(integration, { uniqueKey: "hubspot" })),
  },
  {
    what: "another client of an integration",
    write: (vault, { integration }) => storeIntegration(vault, { ...integration, client: { client_id: "other" } }),
  },
  {
    what: "the deletion of an integration",
    write: (vault, { integration: { owner } }) => softDeleteIntegration(vault, owner.uid, actorOf(owner)),
  },
  { what: "a new environment", write: (vault) => storeEnvironment(vault, desiredEnvironment()) },
  {
    what: "other variables of an environment",
    write: (vault, { environment }) => storeEnvironment(vault, { ...environment, variables: [] }),
  },
  {
    what: "the orphaning of a connection",
    write: (vault, { desired: { owner } }) => orphanConnection(vault, owner.uid, actorOf(owner)),
  },
  {
    what: "the deletion of an environment",
    write: (vault, { environment: { owner } }) => softDeleteEnvironment(vault, owner.uid, actorOf(owner)),
  },
];

/** They write nothing as long as nothing is deleted, and are refused all the same. */
const PURGES: typeof WRITES = [
  {
    what: "the purge of a connection",
    write: (vault, { desired: { owner } }) => purgeOwned(vault, "connection", owner.uid, purgeOptions(owner)),
  },
  {
    what: "the purge of an integration",
    write: (vault, { integration: { owner } }) => purgeOwned(vault, "integration", owner.uid, purgeOptions(owner)),
  },
  {
    what: "the purge of an environment",
    write: (vault, { environment: { owner } }) => purgeOwned(vault, "environment", owner.uid, purgeOptions(owner)),
  },
];

test.each([...WRITES, ...PURGES])("after another reign has begun, $what is refused", async ({ write }) => {
  await using context = await createTestVault();
  const example = await storeExample(context.vault);
  await context.successor();
  const before = await contentOf(context);

  const refused = { code: "leadership_lost", message: expect.stringContaining("the successor took over with reign 2") };
  await expect(write(context.vault, example)).rejects.toMatchObject(refused);
  expect(await contentOf(context)).toEqual(before);
  await expect(context.vault.reign.over).rejects.toMatchObject(refused);
});

/** What keeps a write from getting on: a lock on the rows that it is about, or one on a table that it comes to later. */
const HINDRANCES = [
  {
    hindrance: "rows that somebody else has locked",
    lock: `select from keystead.environments for update;
           select from keystead.integrations for update;
           select from keystead.connections for update`,
    hindered: WRITES.filter(({ what }) => what !== "a new environment"),
  },
  {
    hindrance: "a table that somebody else has locked",
    lock: "lock table keystead.audit_events in exclusive mode",
    hindered: WRITES,
  },
];

for (const { hindrance, lock, hindered } of HINDRANCES) {
  test.each(hindered)(
    `$what that waits for ${hindrance} when another reign begins is there from its beginning or never`,
    async ({ write }) => {
      await using context = await createTestVault();
      const example = await storeExample(context.vault);
      await withClient(context.ownerUrl, async (client) => {
        await client.query(`begin; ${lock}`);
        const writing = outcomeOf(write(context.vault, example));
        await eventually(async () => expect(await waiting(context)).toBe(1));

        let begun: Promise<string> | undefined;
        const succession = context.successor().then(() => (begun = contentOf(context)));
        // It has to wait as well, unless what is written does not hold the old reign yet.
        await eventually(async () => expect(begun !== undefined || (await waiting(context)) > 1).toBe(true));
        await client.query("commit");

        expect(["written", "leadership_lost"]).toContain(await writing);
        expect(await succession).toBe(await contentOf(context));
      });
    },
  );
}

test("a reign begins although the one before it never stops to write", async () => {
  await using context = await createTestVault();
  const busy = Array.from({ length: 4 }, async (_, n) => {
    for (;;) {
      await context.vault.database.transaction((transaction) =>
        transaction.query("select pg_sleep($1)", [0.02 + n / 200]),
      );
    }
  });
  const ends = busy.map(outcomeOf);
  await storeExample(await context.successor());
  expect(await Promise.all(ends)).toEqual(busy.map(() => "leadership_lost"));
});

test("of several reigns that begin at once each has a number of its own, and only the last can write", async () => {
  await using context = await createTestVault();
  const successors = await Promise.all([1, 2, 3].map(() => context.successor()));
  const outcomes = await Promise.all(
    successors.map(async (vault) => ({
      reign: vault.reign.claim()[2],
      outcome: await outcomeOf(storeEnvironment(vault, desiredEnvironment())),
    })),
  );
  expect(outcomes.toSorted((one, other) => one.reign - other.reign)).toEqual([
    { reign: 2, outcome: "leadership_lost" },
    { reign: 3, outcome: "leadership_lost" },
    { reign: 4, outcome: "written" },
  ]);
});

test.each([
  { what: "another release", changed: { release: "keystead-2" } },
  { what: "the same release in another cluster", changed: { cluster: "another" } },
])("reigns of $what are none of ours", async ({ changed }) => {
  await using context = await createTestVault();
  const { desired } = await storeExample(context.vault);
  const [cluster, release] = context.vault.reign.claim();
  await createReign(context.database, { cluster, release, ...changed, holder: "a stranger" }).begin();
  const stored = await storeConnection(context.vault, { ...desired, credentials: apiKey("new") });
  expect(stored.changed).toBe(true);
});

test("reading needs no reign, and goes on when it is over", async () => {
  await using context = await createTestVault();
  const { keyDigest } = await storeExample(context.vault);
  await context.successor();
  const read = await readConnection(context.vault, { keyDigest, providerConfigKey: "github", connectionId: "acme" });
  expect(read).toMatchObject({ kind: "found" });
});

test("nothing can be written before the reign has begun", async () => {
  await using context = await createTestVault();
  const waitingVault = createReigningVault(
    context.vault,
    createReign(context.database, { cluster: "c", release: "keystead", holder: "too early" }),
  );
  await expect(storeEnvironment(waitingVault, desiredEnvironment())).rejects.toMatchObject({ code: "internal_error" });
});

test("in these tests a change of a resource's row that holds no reign fails, in whatever operation", async () => {
  await using context = await createTestVault();
  await storeExample(context.vault);
  const forgotten = context.database.query("update keystead.connections set sources = '[]'");
  await expect(forgotten).rejects.toThrow("a row of connections was written without holding a reign");
});

async function outcomeOf(write: Promise<unknown>): Promise<string> {
  try {
    await write;
    return "written";
  } catch (thrown) {
    return String((thrown as { code?: unknown }).code);
  }
}

/** All rows that are of a resource, and all events, as text. */
async function contentOf({ database }: TestVault): Promise<string> {
  const tables = ["environments", "integrations", "connections", "secret_keys", "key_digests", "audit_events"];
  const contents = tables.map((table) => `(select json_agg(t order by t::text) from keystead.${table} t) as ${table}`);
  return JSON.stringify(await database.query(`select ${contents.join(", ")}`));
}

/** How many sessions of the vaults wait for a lock. */
async function waiting({ database }: TestVault): Promise<number> {
  const [row] = await database.query<{ count: number }>(
    `select count(*) as count from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
  );
  return row?.count ?? 0;
}
