import { z } from "zod";
import { SCOPES, type Scope } from "../scopes.ts";
import { durationBetween } from "./duration.ts";
import { objectName, tagSelector } from "./field.ts";
import { matches, withRules } from "./rule.ts";

/** Keys of one Environment beside its own: one for each application of a team. */
const MAX_KEYS = 32;

/** Nango's full spelling; both mean the same. */
const PREFIX = "environment:";

const scopeNames = [...SCOPES, ...SCOPES.map((scope) => `${PREFIX}${scope}` as const)] as const;

/** Scopes as the vault knows them: short, sorted, each once. */
export function scopesOf(names: readonly string[]): Scope[] {
  return SCOPES.filter((scope) => names.includes(scope) || names.includes(`${PREFIX}${scope}`));
}

/** What whoever holds a key, or is taken for one, may do. */
export const apiKeyFields = {
  scopes: z.array(z.enum(scopeNames)).min(1).max(scopeNames.length).meta({
    description:
      "What the key may do, such as connections:read; with or without environment: in front. read_credentials includes read.",
    "x-kubernetes-list-type": "set",
  }),
  connectionSelector: tagSelector
    .optional()
    .describe(
      "Tags that a connection must have, all of them, at most 4, such as {team: sales}. To this key no other connection exists. Left out: every connection of the Environment.",
    ),
};

const apiKey = z.object({
  // An annotation's name has at most 63 characters, and keystead.dev/rotate-secret-key.<name> is one.
  name: withRules(
    z.string().max(40),
    matches(
      /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?$/,
      "must be at most 40 lower-case letters, digits and '-', beginning and ending with a letter or digit",
    ),
    {
      cel: 'self != "main"',
      holds: (name) => name !== "main",
      message: "must not be main, which is the Environment's own key",
    },
  ).describe(
    "Name of the key, such as reporting; keystead.dev/rotate-secret-key.<name> rotates it. Each name once, and none is main.",
  ),
  ...apiKeyFields,
  expiresAfter: durationBetween("10m", "3660d")
    .optional()
    .describe(
      "How long the key works after it was made or rotated, from 10m to 3660d. Afterwards it opens nothing, its Secret is deleted, and a rotation makes a new one. For good if left out.",
    ),
  secretName: objectName.describe(
    "Name of the Secret that the controller writes and owns, with KEYSTEAD_SECRET_KEY and KEYSTEAD_HOST. Another one for each key.",
  ),
});

type ApiKey = z.output<typeof apiKey>;

/** `spec.apiKeys` of an Environment. */
export const apiKeys = withRules(
  z
    .array(apiKey)
    .max(MAX_KEYS)
    .check(
      z.refine((list) => new Set(list.map(({ name }) => name)).size === list.length, "must have each name only once"),
    ),
  {
    cel: "self.all(one, self.exists_one(other, other.secretName == one.secretName))",
    holds: (list: readonly ApiKey[]) => new Set(list.map(({ secretName }) => secretName)).size === list.length,
    message: "must have each secretName only once",
  },
);
