import { expect, test } from "vitest";
import type { Provider } from "./provider.ts";
import { resolveIntegration } from "./resolve-integration.ts";

const ACME: Provider = {
  name: "acme",
  displayName: "Acme",
  docs: "https://acme.example/docs",
  auth: {
    mode: "OAUTH2",
    authorizationUrl: "https://acme.example/authorize",
    tokenUrl: "https://acme.example/token",
    pkce: true,
    clientAuthentication: "client_secret_basic",
    authorizationParams: { prompt: "consent" },
    tokenResponse: { lifetime: "2h" },
  },
  proxy: { baseUrl: "https://api.acme.example", headers: { authorization: "Bearer ${credentials.access_token}" } },
};
const OWN_PROXY = { baseUrl: "https://proxy.example" };

test("what an Integration leaves out is as the catalogue has it", () => {
  expect(resolveIntegration(ACME, {})).toEqual({ auth: ACME.auth, proxy: ACME.proxy });
});

test("each field of auth that an Integration says wins, and leaves the others", () => {
  const auth = { pkce: false, authorizationParams: {}, expiryBuffer: "5m" } as const;
  expect(resolveIntegration(ACME, { auth })).toEqual({ auth: { ...ACME.auth, ...auth }, proxy: ACME.proxy });
});

test("a proxy that an Integration says replaces that of the catalogue", () => {
  expect(resolveIntegration(ACME, { proxy: OWN_PROXY })).toEqual({ auth: ACME.auth, proxy: OWN_PROXY });
});

test("with a token URL of the same origin the proxy of the catalogue stays", () => {
  const auth = { tokenUrl: "https://ACME.example:443/v2/token" };
  expect(resolveIntegration(ACME, { auth })).toEqual({ auth: { ...ACME.auth, ...auth }, proxy: ACME.proxy });
});

test("bad case 8: tokens of another origin are not sent to the provider of the catalogue", () => {
  const auth = { tokenUrl: "https://acme.internal.example/token" };
  const resolved = resolveIntegration(ACME, { auth });
  expect(resolved).toEqual({ auth: { ...ACME.auth, ...auth, tokenResponse: undefined }, proxy: undefined });
  expect(resolveIntegration(ACME, { auth, proxy: OWN_PROXY })?.proxy).toEqual(OWN_PROXY);
});

test("with another mode nothing is taken from the catalogue, whose URLs are for its own", () => {
  expect(resolveIntegration(ACME, { auth: { mode: "BASIC" } })).toEqual({ auth: { mode: "BASIC" }, proxy: undefined });
});

test("without a provider all of it is what the Integration says", () => {
  const auth = { mode: "API_KEY" } as const;
  expect(resolveIntegration(undefined, { auth, proxy: OWN_PROXY })).toEqual({ auth, proxy: OWN_PROXY });
});

test("without a provider and without a mode there is nothing to go by", () => {
  expect(resolveIntegration(undefined, { auth: { pkce: true } })).toBeUndefined();
  expect(resolveIntegration(undefined, {})).toBeUndefined();
});
