import { z } from "zod";
import { celIfDuration, celMilliseconds, durationBetween, millisecondsOf, parseDuration } from "./duration.ts";
import { type Rule, withRules } from "./rule.ts";

/** Pods read a Secret at their start, so a key that ends by itself must leave time to start them again. */
const LEAST_GRACE = "10m";

interface Fields {
  readonly gracePeriod?: string | undefined;
  readonly interval?: string | undefined;
}

const GRACE_AT_LEAST: Rule<Fields> = {
  cel: `!has(self.interval) || (has(self.gracePeriod) && ${celIfDuration("self.gracePeriod", `${celMilliseconds("self.gracePeriod")} >= ${parseDuration(LEAST_GRACE)}`)})`,
  holds: ({ gracePeriod, interval }) =>
    interval === undefined ||
    (gracePeriod !== undefined && (millisecondsOf(gracePeriod) ?? Infinity) >= parseDuration(LEAST_GRACE)),
  message: `must be at least ${LEAST_GRACE} where interval is set: pods see a new key only after a restart`,
  at: "gracePeriod",
};

/** The key before ends when its successor is rotated, and what was promised as its grace period has to be over by then. */
const GRACE_AT_MOST: Rule<Fields> = {
  cel: `!has(self.interval) || !has(self.gracePeriod) || ${celIfDuration(
    "self.interval",
    celIfDuration(
      "self.gracePeriod",
      `(${celMilliseconds("self.gracePeriod")}) * 2 <= ${celMilliseconds("self.interval")}`,
    ),
  )}`,
  holds: ({ gracePeriod, interval }) =>
    interval === undefined ||
    gracePeriod === undefined ||
    (millisecondsOf(gracePeriod) ?? 0) * 2 <= (millisecondsOf(interval) ?? Infinity),
  message: "must be at most half of interval, so that it is over before the next rotation",
  at: "gracePeriod",
};

/** `spec.rotation` of an Environment. */
export const rotation = withRules(
  z.object({
    gracePeriod: durationBetween("0s", "366d")
      .optional()
      .describe(
        "How long the old secret key works after a rotation, from 0s to 366d, counted from when the Secret was written, or from an hour after the rotation if that is earlier. 0s if left out: it opens nothing from the rotation on, and pods that have it need a restart. Rotating again ends the oldest key at once.",
      ),
    interval: durationBetween("1h", "3660d")
      .optional()
      .describe(
        "Longest time that a secret key is used before it is rotated by itself, from 1h to 3660d, such as 90d; it happens up to a tenth of it earlier. Needs a gracePeriod of at least 10m and at most half of it. Never if left out.",
      ),
  }),
  GRACE_AT_LEAST,
  GRACE_AT_MOST,
);

/** Whole seconds of the grace period. */
export function graceSecondsOf(fields: Fields | undefined): number {
  return Math.ceil(parseDuration(fields?.gracePeriod ?? "0s") / 1_000);
}

/** Whole seconds of the interval, if there is one; rounded down, because it is a deadline. */
export function rotationSecondsOf(fields: Fields | undefined): number | undefined {
  return fields?.interval === undefined ? undefined : Math.floor(parseDuration(fields.interval) / 1_000);
}
