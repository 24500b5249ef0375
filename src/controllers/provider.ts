import { findProvider } from "../oauth/catalogue.ts";
import { type Resolved, resolveIntegration } from "../oauth/resolve-integration.ts";
import type { Integration } from "../resources/integration.ts";
import { type Outcome, stalled } from "./outcome.ts";

/** What holds for an Integration by its spec and by the catalogue; undefined if neither says how its provider authenticates. */
export function resolveSpec({ provider, ...declared }: Integration["spec"]): Resolved | undefined {
  return resolveIntegration(provider === undefined ? undefined : findProvider(provider), declared);
}

/** The outcome for one about which nothing is said. */
export function providerUnknown({ spec: { provider } }: Integration): Outcome {
  return stalled(
    "ProviderUnknown",
    `The catalogue of this version has no provider ${JSON.stringify(provider)}. Correct spec.provider (docs/providers.md lists all), or write spec.auth out.`,
  );
}
