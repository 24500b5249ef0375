import type { AuthSpec } from "../resources/auth.ts";
import { originOf, type ProxySpec } from "../resources/proxy.ts";
import type { Provider, ProviderAuth } from "./provider.ts";

/** What an Integration says itself. */
export interface Declared {
  readonly auth?: AuthSpec | undefined;
  readonly proxy?: ProxySpec | undefined;
}

/** What holds for an integration. */
export interface Resolved {
  readonly auth: ProviderAuth;
  readonly proxy?: ProxySpec | undefined;
}

/**
 * What an Integration says, over what the catalogue says of its provider: field by field in `auth`, `proxy` as a whole.
 * Undefined if neither says how the provider authenticates. Pure.
 *
 * What the catalogue says holds for its own way to authenticate and its own servers: with another mode nothing is taken
 * from it, and with a token URL of another origin no proxy, or the tokens of a server at home would be sent to the vendor's.
 */
export function resolveIntegration(provider: Provider | undefined, { auth, proxy }: Declared): Resolved | undefined {
  const mode = auth?.mode ?? provider?.auth.mode;
  if (mode === undefined) return undefined;
  if (provider?.auth.mode !== mode) return { auth: { ...auth, mode }, proxy };
  const resolved = { ...provider.auth, ...auth, mode };
  const isAtHome = sameOrigin(resolved.tokenUrl, provider.auth.tokenUrl);
  // What an answer looks like is known of the catalogue's server only.
  if (!isAtHome) delete resolved.tokenResponse;
  return { auth: resolved, proxy: proxy ?? (isAtHome ? provider.proxy : undefined) };
}

function sameOrigin(one: string | undefined, other: string | undefined): boolean {
  return one === other || (one !== undefined && other !== undefined && originOf(one) === originOf(other));
}
