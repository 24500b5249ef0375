import { expect, test } from "vitest";
import { uuidBytes, uuidText, uuidv7 } from "./uuid.ts";

test("an id is a UUID of version 7 and variant 10 that carries its millisecond", () => {
  const now = Date.UTC(2026, 10, 24, 8, 0, 0, 123);
  const id = uuidv7(now);
  expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(Number.parseInt(id.replace("-", "").slice(0, 12), 16)).toBe(now);
});

test("ids made later sort later, and none comes twice", () => {
  const ids = Array.from({ length: 5_000 }, (_, index) => uuidv7(1_700_000_000_000 + index));
  expect(ids.toSorted()).toEqual(ids);
  expect(new Set(Array.from({ length: 5_000 }, () => uuidv7(0))).size).toBe(5_000);
});

test("text and bytes turn into each other, and what is no UUID is told apart", () => {
  const id = uuidv7();
  expect(uuidText(uuidBytes(id) ?? Buffer.alloc(0))).toBe(id);
  expect(uuidBytes("00112233-4455-6677-8899-AABBCCddeeff")?.toString("hex")).toBe("00112233445566778899aabbccddeeff");
  for (const text of ["", "acme", id.slice(1), `${id}0`, id.replace("-", ""), ` ${id}`]) {
    expect(uuidBytes(text)).toBeUndefined();
  }
});
