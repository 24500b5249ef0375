import { z } from "zod";
import { durationBetween } from "./duration.ts";
import { endpointUrl, line, textMap } from "./field.ts";

/** Nango's names for how a provider authenticates, as far as a Connection can be declared for it. */
export const AUTH_MODES = [
  "OAUTH2",
  "OAUTH2_CC",
  "OAUTH1",
  "API_KEY",
  "BASIC",
  "APP",
  "JWT",
  "CUSTOM",
  "NONE",
] as const;

/** Extra parameters of a request to the provider. An empty value is one: some providers want `prompt=`. */
function parameters(description: string) {
  return textMap(
    32,
    { max: 128, pattern: /^\P{Cc}+$/u, allowed: "characters without control characters" },
    line(2_048, 0),
  ).describe(description);
}

/** One of {@link AUTH_MODES}. */
export type AuthMode = (typeof AUTH_MODES)[number];

/**
 * How the provider authenticates, written out. Stored and shown by the API; no URL of it is called in this version.
 * No field has a default: absent has to stay distinguishable from a value that somebody chose, because the catalogue of
 * providers fills in what is absent.
 */
export const auth = z.object({
  mode: z
    .enum(AUTH_MODES)
    .optional()
    .describe(
      "How the provider authenticates: OAUTH2 (authorization code), OAUTH2_CC (client credentials), OAUTH1, API_KEY, BASIC, APP (GitHub-style app), JWT, CUSTOM or NONE. Left out: as the catalogue has it. Another than the catalogue has: nothing else is taken from there, so write all of it out.",
    ),
  authorizationUrl: endpointUrl(
    "Where a person authorizes the connection. An https URL; http only for localhost and Services of the cluster.",
  ).optional(),
  tokenUrl: endpointUrl(
    "Where tokens are issued and renewed. An https URL; http only for localhost and Services of the cluster.",
  ).optional(),
  scopeSeparator: line(8).optional().describe("What stands between two scopes in a request; a blank if left out."),
  pkce: z.boolean().optional().describe("Whether the authorization is protected by PKCE (RFC 7636)."),
  authorizationParams: parameters("Extra query parameters of the authorization URL, at most 32.").optional(),
  tokenParams: parameters("Extra parameters of a token request, at most 32.").optional(),
  clientAuthentication: z
    .enum(["client_secret_basic", "client_secret_post", "private_key_jwt"])
    .optional()
    .describe(
      "How the client proves itself at the token URL, by the names of OpenID Connect: client_secret_basic, client_secret_post or private_key_jwt.",
    ),
  expiryBuffer: durationBetween("0s", "24h")
    .optional()
    .describe("How long before its end a token counts as ended, such as 15m. From 0s to 24h."),
});

/** What {@link auth} takes. */
export type AuthSpec = z.output<typeof auth>;
