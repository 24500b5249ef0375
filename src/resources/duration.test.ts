import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { hasCode } from "../errors.ts";
import { durationBetween, parseDuration } from "./duration.ts";

const UNIT_MS = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000, ms: 1 };

describe("a duration", () => {
  test.each([
    ["31d", 2_678_400_000],
    ["1d12h", 129_600_000],
    ["1h30m", 5_400_000],
    ["1.5h", 5_400_000],
    ["0.001s", 1],
    ["250ms", 250],
    ["0s", 0],
    ["0d", 0],
    ["1m1ms", 60_001],
    ["1ms1m", 60_001],
    ["30m30m", 3_600_000],
    ["9999d99999h", 1_223_910_000_000],
  ])("%s is %d ms", (text, milliseconds) => {
    expect(parseDuration(text)).toBe(milliseconds);
  });

  test.each([
    ["1ns", "finer than a millisecond"],
    ["1us", "finer than a millisecond"],
    ["99999999h", "longer than Go can hold"],
    ["1h1", "a number without a unit"],
    ["-1h", "a sign"],
    ["+1h", "a sign"],
    ["1d1d", "days twice"],
    ["1h1d", "days not in front"],
    ["1.5d", "a fraction of a day: with summer time no such thing exists"],
    [".5h", "no digit before the point"],
    ["1.h", "no digit after the point"],
    ["1.0001s", "a tenth of a millisecond"],
    ["1e3s", "an exponent"],
    ["1 h", "a blank"],
    ["1H", "an upper-case unit"],
    ["1w", "a unit that Go does not have"],
    ["", "nothing"],
    ["0", "no unit"],
    ["d", "no number"],
    ["1h\n", "a line break"],
    ["\u0661h", "a digit of another script"],
    ["1h".repeat(17), "over 32 characters"],
  ])("bad case 32: %j is none: %s", (text) => {
    expect(() => parseDuration(text)).toThrow(expect.objectContaining({ code: "duration_invalid" }));
  });

  test("the error does not repeat the text, which may come from anywhere", () => {
    try {
      parseDuration("not-a-real-secret");
      expect.unreachable();
    } catch (error) {
      expect(hasCode(error, "duration_invalid") && error.message).not.toContain("not-a-real-secret");
    }
  });

  /** One part of a duration: a number with up to three decimals and its unit. */
  const part = fc.record({
    unit: fc.constantFrom("h" as const, "m" as const, "s" as const),
    whole: fc.nat({ max: 9_999 }),
    thousandths: fc.nat({ max: 999 }),
  });

  test("is exactly the sum of its parts, whatever their order and decimals", () => {
    fc.assert(
      fc.property(fc.nat({ max: 3_660 }), fc.array(part, { maxLength: 2 }), (days, parts) => {
        const text = `${days}d${parts
          .map(({ unit, whole, thousandths }) => `${whole}.${String(thousandths).padStart(3, "0")}${unit}`)
          .join("")}`;
        const sum = parts.reduce(
          (total, { unit, whole, thousandths }) =>
            total + BigInt(whole * 1_000 + thousandths) * BigInt(UNIT_MS[unit] / 1_000),
          BigInt(days * UNIT_MS.d),
        );

        expect(BigInt(parseDuration(text))).toBe(sum);
      }),
    );
  });

  test("is a whole number of milliseconds, or refused: no text makes anything else", () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[0-9.dhms-]{0,12}$/), (text) => {
        let milliseconds: number;
        try {
          milliseconds = parseDuration(text);
        } catch (error) {
          expect(hasCode(error, "duration_invalid")).toBe(true);
          return;
        }
        expect(Number.isSafeInteger(milliseconds) && milliseconds >= 0).toBe(true);
      }),
    );
  });
});

describe("the schema of a duration between two", () => {
  const schema = durationBetween("1h", "3660d");

  test.each([
    ["1h", true],
    ["59m59.999s", false],
    ["3660d", true],
    ["3660d1ms", false],
    ["87840h", true],
    ["87840h0.001s", false],
  ])("%s: %s, as both ends are included", (text, taken) => {
    expect(schema.safeParse(text).success).toBe(taken);
  });
});
