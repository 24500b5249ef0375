import { AUTH_MODES, type AuthMode } from "../resources/auth.ts";
import type { Provider } from "./provider.ts";

const DISPLAY_NAMES: Readonly<Record<AuthMode, string>> = {
  OAUTH2: "Any provider with OAuth 2.0 (authorization code)",
  OAUTH2_CC: "Any provider with OAuth 2.0 client credentials",
  OAUTH1: "Any provider with OAuth 1.0a",
  API_KEY: "Any provider with an API key",
  BASIC: "Any provider with user name and password",
  APP: "Any provider with a GitHub-style app",
  JWT: "Any provider with signed tokens",
  CUSTOM: "Any provider with an app and OAuth together",
  NONE: "Any provider without authentication",
};

/** One for each way to authenticate, named after it (`oauth2-cc`): for what is not in the catalogue. */
export const GENERIC_PROVIDERS: readonly Provider[] = AUTH_MODES.map((mode) => ({
  name: mode.toLowerCase().replaceAll("_", "-"),
  displayName: DISPLAY_NAMES[mode],
  docs: "",
  auth: { mode },
}));
