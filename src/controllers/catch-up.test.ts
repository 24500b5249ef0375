import { expect, test } from "vitest";
import { parsedConnection } from "../../test/support/parsed-resources.ts";
import type { ObjectKey } from "../kube/object.ts";
import { createWorkQueue } from "../kube/work-queue.ts";
import type { Parsed } from "../resources/parse.ts";
import { catchUp } from "./catch-up.ts";
import { createReferenceIndex } from "./references.ts";
import type { Rows } from "./rows.ts";
import type { KeysteadResource } from "./targets.ts";

const references = createReferenceIndex();
const NO_LOG = { warn: () => undefined };

/** A kind whose passes are only written down. */
function kindOf(kind: KeysteadResource["kind"], names: readonly string[], passes: string[]) {
  const value = parsedConnection();
  const objects = new Map<ObjectKey, Parsed<KeysteadResource>>(
    names.map((name) => [`shop/${name}`, { ok: true, value }]),
  );
  const queue = createWorkQueue({
    name: kind,
    concurrency: 4,
    run: (key) => {
      passes.push(`${kind} ${key}`);
      return Promise.resolve({ kind: "done" });
    },
  });
  return { kind, objects, queue };
}

/** Rows of which only what is loaded ahead matters. */
function rowsThat(
  prefetch: (count: number, kind: string) => void = () => undefined,
): Pick<Rows, "prefetch" | "dropPrefetched"> {
  return {
    prefetch: (kind, resources) => {
      prefetch(resources.length, kind);
      return Promise.resolve();
    },
    dropPrefetched: () => undefined,
  };
}

function namesOf(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `c-${index}`);
}

test("parents have their pass before those that refer to them, and each kind begins before its first", async () => {
  const passes: string[] = [];
  const [environments, integrations] = [kindOf("Environment", ["e"], passes), kindOf("Integration", ["i"], passes)];
  const connections = kindOf("Connection", ["c"], passes);
  await catchUp({
    kinds: [environments, integrations, connections],
    references,
    rows: rowsThat(),
    log: NO_LOG,
    signal: new AbortController().signal,
    begins: (kind) => passes.push(`${kind} begins`),
  });
  await connections.queue.whenIdle();

  expect(passes).toEqual([
    "Environment begins",
    "Environment shop/e",
    "Integration begins",
    "Integration shop/i",
    "Connection begins",
    "Connection shop/c",
  ]);
});

test.each(["Environment", "Integration", "Connection"] as const)(
  "ten thousand objects of kind %s have their rows loaded five times, and one pass each",
  async (kind) => {
    const passes: string[] = [];
    const loaded: string[] = [];
    const followed = kindOf(kind, namesOf(10_000), passes);
    await catchUp({
      kinds: [followed],
      references,
      rows: rowsThat((count, of) => void loaded.push(`${of} ${count}`)),
      log: NO_LOG,
      signal: new AbortController().signal,
      begins: () => undefined,
    });

    expect(loaded).toEqual(Array.from({ length: 5 }, () => `${kind} 2000`));
    expect(new Set(passes).size).toBe(10_000);
    expect(passes).toHaveLength(10_000);
  },
);

test("rows that cannot be loaded ahead leave it to each pass", async () => {
  const passes: string[] = [];
  const connections = kindOf("Connection", namesOf(3), passes);
  const warnings: unknown[] = [];
  await catchUp({
    kinds: [connections],
    references,
    rows: {
      ...rowsThat(),
      prefetch: () => Promise.reject(new Error("the database is away")),
    },
    log: { warn: (...line: unknown[]) => void warnings.push(line) },
    signal: new AbortController().signal,
    begins: () => undefined,
  });
  await connections.queue.whenIdle();

  expect(passes).toHaveLength(3);
  expect(warnings).toHaveLength(1);
});

test("a leader that is told to stop feeds its queues no longer", async () => {
  const passes: string[] = [];
  const stop = new AbortController();
  const connections = kindOf("Connection", namesOf(3_000), passes);
  await catchUp({
    kinds: [connections],
    references,
    rows: rowsThat(() => stop.abort()),
    log: NO_LOG,
    signal: stop.signal,
    begins: () => undefined,
  });
  await connections.queue.whenIdle();

  expect(passes).toHaveLength(2_000);
});
