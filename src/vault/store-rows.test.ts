import { expect, test } from "vitest";
import { newOwner } from "../../test/support/vault.ts";
import { KeysteadError } from "../errors.ts";
import type { Owner } from "./owner.ts";
import { storeRows, type StoreSteps } from "./store-rows.ts";

interface Desired {
  readonly owner: Owner;
  readonly value: string;
  readonly expectedRevision?: number;
  readonly known?: State;
}

interface State {
  readonly id: string;
  readonly revision: number;
  readonly value: string;
}

test("each item ends as its row did: created, changed, left alone", async () => {
  const table = createTable();
  const [created, changed, settled] = [desired("new"), desired("new"), desired("old")];
  table.put(changed.owner.uid, "old");
  table.put(settled.owner.uid, "old");
  const outcomes = await storeRows(table.steps, [created, changed, settled]);
  expect(outcomes).toMatchObject([
    { ok: true, value: { revision: 1 } },
    { ok: true, value: { revision: 2 } },
    { ok: true, value: { revision: 1 } },
  ]);
  expect(table.calls).toEqual(["describe 3", "insert 1", "update 1"]);
});

test("what cannot be planned fails alone and reaches no statement", async () => {
  const table = createTable();
  const outcomes = await storeRows(table.steps, [desired("unplannable"), desired("new")]);
  expect(outcomes).toMatchObject([{ ok: false, error: { code: "json_not_canonical" } }, { ok: true }]);
  expect(table.calls).toEqual(["describe 2", "insert 1"]);
});

test("an item that lost to another process is planned again from what is there now", async () => {
  const table = createTable();
  const item = desired("new");
  table.interruptions.insert = () => table.put(item.owner.uid, "of another process");
  expect(await storeRows(table.steps, [item])).toMatchObject([{ ok: true, value: { revision: 2, value: "new" } }]);
  expect(table.calls).toEqual(["describe 1", "insert 1", "explain", "describe 1", "update 1"]);
});

test("an item that expects a revision is not planned again: its caller has to look", async () => {
  const table = createTable();
  const item = { ...desired("new"), expectedRevision: 1 };
  table.put(item.owner.uid, "old");
  table.interruptions.update = () => table.put(item.owner.uid, "of another process");
  expect(await storeRows(table.steps, [item])).toMatchObject([{ ok: false, error: { code: "row_changed" } }]);
  expect(table.calls).toEqual(["describe 1", "update 1", "explain"]);
});

test("what the caller knows is not looked up, and is refused when it is not so any more", async () => {
  const table = createTable();
  const [known, stale, unknown] = [desired("new"), desired("new"), desired("new")];
  for (const { owner } of [known, stale]) table.put(owner.uid, "old");
  const item = (of: Desired): Desired => ({ ...of, known: table.rows.get(of.owner.uid) ?? expect.unreachable() });
  const items = [item(known), item(stale)];
  table.put(stale.owner.uid, "of another process");
  expect(await storeRows(table.steps, [...items, unknown])).toMatchObject([
    { ok: true, value: { revision: 2 } },
    { ok: false, error: { code: "row_changed" } },
    { ok: true, value: { revision: 1 } },
  ]);
  expect(table.calls).toEqual(["describe 1", "insert 1", "update 2", "explain"]);

  table.calls.length = 0;
  await storeRows(table.steps, [item(known)]);
  expect(table.calls, "nothing differs").toEqual([]);
});

test("an item that loses every time gives up after three rounds", async () => {
  const table = createTable();
  const item = desired("new");
  table.put(item.owner.uid, "old");
  table.interruptions.update = () => table.put(item.owner.uid, "of another process");
  expect(await storeRows(table.steps, [item])).toMatchObject([
    { ok: false, error: { code: "row_changed", retryable: true } },
  ]);
  expect(table.calls.filter((call) => call.startsWith("update"))).toHaveLength(3);
});

test("several items of one owner are stored one after the other, in their order", async () => {
  const table = createTable();
  const first = desired("first");
  const outcomes = await storeRows(table.steps, [first, { ...first, value: "second" }, desired("other")]);
  expect(outcomes).toMatchObject([
    { ok: true, value: { revision: 1, value: "first" } },
    { ok: true, value: { revision: 2, value: "second" } },
    { ok: true, value: { revision: 1, value: "other" } },
  ]);
  expect(table.calls).toEqual(["describe 2", "insert 2", "describe 1", "update 1"]);
});

function desired(value: string): Desired {
  return { owner: newOwner(), value };
}

/** A table in memory that behaves as the statements do: unique by owner, updates guarded by the revision. */
function createTable() {
  const rows = new Map<string, State>();
  const calls: string[] = [];
  const interruptions: { insert?: () => void; update?: () => void } = {};
  const put = (uid: string, value: string): void => {
    rows.set(uid, { id: uid, value, revision: (rows.get(uid)?.revision ?? 0) + 1 });
  };
  const write = (written: readonly State[], mayWrite: (row: State) => boolean): Set<string> => {
    const accepted = written.filter(mayWrite);
    for (const row of accepted) rows.set(row.id, row);
    return new Set(accepted.map(({ id }) => id));
  };
  const steps: StoreSteps<Desired, State, State, State> = {
    async describe(items) {
      calls.push(`describe ${items.length}`);
      return new Map(rows);
    },
    async plan({ owner, value }, state) {
      if (value === "unplannable") throw new KeysteadError("json_not_canonical", "unplannable");
      if (state?.value === value) return { kind: "settled", stored: state };
      const stored = { id: owner.uid, value, revision: (state?.revision ?? 0) + 1 };
      return { kind: state ? "update" : "insert", row: stored, stored };
    },
    async insert(written) {
      calls.push(`insert ${written.length}`);
      interruptions.insert?.();
      return write(written, ({ id }) => !rows.has(id));
    },
    async update(written) {
      calls.push(`update ${written.length}`);
      interruptions.update?.();
      return write(written, ({ id, revision }) => rows.get(id)?.revision === revision - 1);
    },
    async explain() {
      calls.push("explain");
      return new KeysteadError("row_changed", "the row changed");
    },
  };
  return {
    steps,
    calls,
    put,
    rows,
    /** What another process does just before a statement. */
    interruptions,
  };
}
