import { z } from "zod";
import { KeysteadError } from "../errors.ts";
import { type Rule, celString, withRules } from "./rule.ts";

/**
 * Go's duration format with a leading number of days (`31d`, `1d12h`, `1h30m`, `1.5h`, `250ms`), without a sign.
 * Nothing here is finer than a millisecond, so neither are the units, and with at most three decimals each accepted
 * text is a whole number of them. The digits of each unit are limited to what stays far inside Go's 292 years: an
 * overflow would fail the CEL rule with an error about itself instead of our message.
 */
const PATTERN =
  /^(?:[0-9]{1,4}d)?(?:[0-9]{1,5}(?:[.][0-9]{1,3})?h|[0-9]{1,7}(?:[.][0-9]{1,3})?m|[0-9]{1,9}(?:[.][0-9]{1,3})?s|[0-9]{1,12}ms)*$/;

/** Characters; the longest sensible text, `3660d23h59m59.999s`, has 18. */
const MAX_LENGTH = 32;

const MILLISECONDS = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000, ms: 1 } as const;

/**
 * Milliseconds of a duration text, exact. Throws `duration_invalid` for anything that is not one, without repeating the
 * text: it may come from anywhere.
 */
export function parseDuration(text: string): number {
  const milliseconds = measure(text);
  if (milliseconds === undefined) {
    throw new KeysteadError("duration_invalid", "A duration must be written like 31d, 36h, 1h30m or 250ms");
  }
  return milliseconds;
}

function measure(text: string): number | undefined {
  if (text === "" || text.length > MAX_LENGTH || !PATTERN.test(text)) return undefined;
  let sum = 0;
  for (const [, whole, decimals, unit] of text.matchAll(/([0-9]+)(?:[.]([0-9]+))?(ms|[dhms])/g)) {
    if (!isUnit(unit)) return undefined;
    // Thousandths of a unit are integers, and so are their milliseconds: no binary fraction ever enters the sum.
    const thousandths = Number(whole) * 1_000 + Number((decimals ?? "").padEnd(3, "0"));
    sum += unit === "ms" ? Number(whole) : thousandths * (MILLISECONDS[unit] / 1_000);
  }
  return sum;
}

function isUnit(unit: string | undefined): unit is keyof typeof MILLISECONDS {
  return unit !== undefined && Object.hasOwn(MILLISECONDS, unit);
}

/** Schema of a duration from `min` to `max`, both included and both written as durations themselves. */
export function durationBetween(min: string, max: string): z.ZodString {
  const [least, most] = [parseDuration(min), parseDuration(max)];
  const rule: Rule<string> = {
    cel: `self != "" && self.matches(${celString(PATTERN.source)}) && [${celMilliseconds("self")}].all(ms, ms >= ${least} && ms <= ${most})`,
    holds: (text) => {
      const milliseconds = measure(text);
      return milliseconds !== undefined && milliseconds >= least && milliseconds <= most;
    },
    message: `must be a duration from ${min} to ${max}, written like 31d, 36h or 1h30m`,
  };
  return withRules(z.string().max(MAX_LENGTH), rule);
}

/** CEL: whether a text is a duration at all, and what follows is true of it. A rule about two fields need not repeat theirs. */
export function celIfDuration(text: string, holds: string): string {
  return `(${text} == "" || !${text}.matches(${celString(PATTERN.source)}) || (${holds}))`;
}

/**
 * Milliseconds of what matches `PATTERN`, in CEL, which knows Go's units but no days. Adding durations instead of
 * integers would need a text made by concatenation, whose length the cost estimate takes to be unbounded.
 */
export function celMilliseconds(text: string): string {
  return [
    `(${text}.contains("d") ? int(${text}.substring(0, ${text}.indexOf("d"))) * ${MILLISECONDS.d} : 0)`,
    `(${text}.endsWith("d") ? 0 : duration(${text}.substring(${text}.indexOf("d") + 1)).getMilliseconds())`,
  ].join(" + ");
}

/** Milliseconds of a duration, or `undefined` for what is none: for rules about two fields. */
export function millisecondsOf(text: string): number | undefined {
  return measure(text);
}
