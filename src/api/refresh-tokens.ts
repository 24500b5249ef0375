/** How providers spell it: `refresh_token`, `refreshToken`, `refresh-token`, in any case. */
const SPELLING = "refresh[_-]?token";
const ANYWHERE = new RegExp(SPELLING, "i");
const WHOLE_KEY = new RegExp(`^${SPELLING}$`, "i");

/**
 * JSON text without any member that is a refresh token, at any depth: whoever holds one can make tokens for as long as
 * the provider allows, so a reader has to ask for it. Text that has none, which is the usual case, is not even parsed.
 */
export function withoutRefreshTokens(json: string): string {
  if (!ANYWHERE.test(json)) return json;
  return JSON.stringify(JSON.parse(json, (key, value: unknown) => (WHOLE_KEY.test(key) ? undefined : value)));
}
