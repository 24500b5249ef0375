import { AUTH_MODES } from "./auth.ts";

type AuthMode = (typeof AUTH_MODES)[number];

/** A provider that an integration can be made for over the API, without a resource that writes `spec.auth` out. */
export interface Provider {
  readonly name: string;
  readonly displayName: string;
  readonly authMode: AuthMode;
}

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

/** While there is no catalogue of named ones: one for each way to authenticate, named after it (`oauth2-cc`). */
export const PROVIDERS: readonly Provider[] = AUTH_MODES.map((authMode) => ({
  name: authMode.toLowerCase().replaceAll("_", "-"),
  displayName: DISPLAY_NAMES[authMode],
  authMode,
}));

/** The provider of that name. */
export function findProvider(name: string): Provider | undefined {
  return PROVIDERS.find((provider) => provider.name === name);
}
