import { expect, test } from "vitest";
import { KeysteadError } from "../errors.ts";
import { listAnswer } from "./list-answer.ts";

const numbers = (from: number, count: number) => Array.from({ length: count }, (_, index) => from + index);

/** A list of the numbers from 1 on, and what it was asked for. */
function list(total: number, limit: number, failsAfter = Infinity) {
  const asked: (readonly [after: number | undefined, size: number])[] = [];
  const answer = listAnswer<number>({
    name: "numbers",
    limit,
    read: async (after, size) => {
      asked.push([after, size]);
      if ((after ?? 0) >= failsAfter) throw new KeysteadError("unknown_account", "The key was revoked.");
      return numbers((after ?? 0) + 1, Math.min(size, total - (after ?? 0)));
    },
    print: String,
    placeOf: (row) => [String(row)],
  });
  return { answer, asked };
}

async function textOf(total: number, limit: number): Promise<{ numbers: number[]; next_cursor?: string }> {
  let text = "";
  for await (const piece of await list(total, limit).answer) text += piece;
  return JSON.parse(text);
}

test.each([
  [0, 10],
  [1, 10],
  [10, 10],
  [499, 10_000],
  [500, 10_000],
  [501, 501],
  [1_000, 1_000],
  [2_345, 10_000],
])("of %i rows with a limit of %i all are in it, and no cursor", async (total, limit) => {
  expect(await textOf(total, limit)).toEqual({ numbers: numbers(1, total) });
});

test.each([
  [11, 10],
  [501, 500],
  [2_345, 1_000],
])("of %i rows with a limit of %i the first are in it, and a cursor after the last of them", async (total, limit) => {
  const next = Buffer.from(JSON.stringify([String(limit)])).toString("base64url");
  expect(await textOf(total, limit)).toEqual({ numbers: numbers(1, limit), next_cursor: next });
});

test("a short list is one text, and takes one question", async () => {
  const { answer, asked } = list(3, 10_000);
  expect(await answer).toBe('{"numbers":[1,2,3]}');
  expect(asked).toEqual([[undefined, 500]]);
});

test("a list that is refused from the start is refused before anything is sent", async () => {
  await expect(list(3, 10, 0).answer).rejects.toMatchObject({ code: "unknown_account" });
});

test("a list whose later part is refused ends with the refusal, before its JSON is whole", async () => {
  const pieces = await list(2_000, 10_000, 500).answer;
  let text = "";
  const read = async () => {
    for await (const piece of pieces) text += piece;
  };
  await expect(read()).rejects.toMatchObject({ code: "unknown_account" });
  expect(text).toBe(`{"numbers":[${numbers(1, 500).join(",")}`);
});
