import * as fc from "fast-check";
import { expect, test } from "vitest";
import { withoutRefreshTokens } from "./refresh-tokens.ts";

test.each([
  ["as OAuth spells it", { access_token: "a", refresh_token: "r" }, { access_token: "a" }],
  ["in camel case", { refreshToken: "r", id: 1 }, { id: 1 }],
  ["with a dash and capitals", { "Refresh-Token": "r", id: 1 }, { id: 1 }],
  [
    "inside the provider's answer",
    { raw: { data: { refresh_token: "r", scope: "s" } } },
    { raw: { data: { scope: "s" } } },
  ],
  ["inside a list", { raw: [{ refresh_token: "r" }, 1] }, { raw: [{}, 1] }],
  ["when it is an object itself", { refresh_token: { value: "r" }, id: 1 }, { id: 1 }],
])("a refresh token is left out %s", (_case, given, shown) => {
  expect(JSON.parse(withoutRefreshTokens(JSON.stringify(given)))).toEqual(shown);
});

test.each([
  ["says when it ends", { refresh_token_expires_in: 3600 }],
  ["mentions it in a text", { note: "has no refresh_token" }],
  ["has none", { type: "API_KEY", apiKey: "k" }],
])("a member stays that only %s", (_case, given) => {
  expect(JSON.parse(withoutRefreshTokens(JSON.stringify(given)))).toEqual(given);
});

test("whatever the shape, no member of that name is left and no other is lost", () => {
  const key = fc.oneof(fc.constantFrom("refresh_token", "refreshToken", "REFRESH-TOKEN"), fc.string({ maxLength: 6 }));
  const json = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.string(),
      fc.integer(),
      fc.array(tie("value")),
      fc.dictionary(key, tie("value")),
    ),
  })).value;
  const membersOf = (value: unknown): string[] => {
    if (value === null || typeof value !== "object") return [];
    const kept = Object.entries(value).filter(([name]) => !/^refresh[_-]?token$/i.test(name));
    return kept.map(([name]) => name).concat(kept.flatMap(([, member]) => membersOf(member)));
  };
  fc.assert(
    fc.property(json, (value) => {
      const shown: unknown = JSON.parse(withoutRefreshTokens(JSON.stringify(value)));
      expect(JSON.stringify(shown)).not.toMatch(/"refresh[_-]?token":/i);
      // `__proto__` is a plain member of parsed JSON, so both sides are compared after one more parse.
      expect(membersOf(shown)).toEqual(membersOf(JSON.parse(JSON.stringify(value))));
    }),
  );
});
