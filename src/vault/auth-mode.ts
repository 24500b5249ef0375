import type { JsonObject } from "../crypto/canonical-json.ts";

/** How the provider of an integration authenticates, by what is stored of it: `auth.mode`. Pure. */
export function authModeOf(settings: JsonObject): string {
  const { auth } = settings;
  const mode = typeof auth === "object" && auth !== null && "mode" in auth ? auth.mode : undefined;
  return typeof mode === "string" ? mode : "NONE";
}
