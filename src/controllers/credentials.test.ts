import { expect, test } from "vitest";
import { type Credentials, type Credential, credentialOf } from "../resources/credentials.ts";
import { assembleCredentials, refuseMismatch } from "./credentials.ts";
import { createSecretTaker, type SecretTaker } from "./secret-value.ts";

const INTEGRATION = { name: "stripe", authMode: "API_KEY", appId: "007" };
const ref = { name: "acme", key: "a" };
const other = { name: "acme", key: "b" };

function credential(declared: Credentials): Credential {
  return credentialOf(declared) ?? expect.fail("nothing is declared");
}

function taker(): SecretTaker {
  const data = { a: Buffer.from("value-a").toString("base64"), b: Buffer.from("value-b").toString("base64") };
  return createSecretTaker(new Map([["acme", { metadata: { name: "acme", uid: "u", resourceVersion: "1" }, data }]]));
}

test.each<{ declared: Credentials; type: string; value: object }>([
  { declared: { apiKey: { apiKeyRef: ref } }, type: "API_KEY", value: { apiKey: "value-a" } },
  {
    declared: { basic: { username: "u", passwordRef: ref } },
    type: "BASIC",
    value: { username: "u", password: "value-a" },
  },
  {
    declared: { basic: { usernameRef: other, passwordRef: ref } },
    type: "BASIC",
    value: { username: "value-b", password: "value-a" },
  },
  {
    declared: { oauth2ClientCredentials: { clientIdRef: other, clientSecretRef: ref } },
    type: "OAUTH2_CC",
    value: { client_id: "value-b", client_secret: "value-a" },
  },
  {
    declared: { app: { installationId: "123" } },
    type: "APP",
    value: { app_id: "007", installation_id: "123" },
  },
  {
    declared: { jwt: { privateKeyRef: ref, keyId: "k1", claims: { iss: "acme" } } },
    type: "JWT",
    value: { private_key: "value-a", key_id: "k1", claims: { iss: "acme" } },
  },
  { declared: { custom: { secretRef: { name: "acme" } } }, type: "CUSTOM", value: { a: "value-a", b: "value-b" } },
])("$type has the shape in which it is served", ({ declared, type, value }) => {
  expect(assembleCredentials(credential(declared), INTEGRATION, taker())).toEqual({ type, value });
});

test("an OAuth token carries its end, and is its own raw answer", () => {
  const expiresAt = "2026-12-01T00:00:00Z";
  const declared = { oauth2: { accessTokenRef: ref, refreshTokenRef: other, expiresAt } };
  const token = { access_token: "value-a", refresh_token: "value-b", expires_at: expiresAt };
  expect(assembleCredentials(credential(declared), INTEGRATION, taker())).toEqual({
    type: "OAUTH2",
    value: { ...token, raw: token },
    expiresAt: new Date(expiresAt),
  });
});

test("a value that is missing is left to the taker to tell", () => {
  const take = taker();
  assembleCredentials(credential({ apiKey: { apiKeyRef: { name: "acme", key: "c" } } }), INTEGRATION, take);
  expect(take.problem).toMatchObject({ reason: "SecretNotFound" });
});

test("a kind is taken by Integrations of its own mode alone", () => {
  const apiKey = credential({ apiKey: { apiKeyRef: ref } });
  expect(refuseMismatch(apiKey, INTEGRATION)).toBeUndefined();
  for (const authMode of ["BASIC", "OAUTH2", "OAUTH2_CC", "APP", "JWT", "CUSTOM", "NONE"]) {
    expect(refuseMismatch(apiKey, { ...INTEGRATION, authMode })).toMatchObject({
      kind: "stalled",
      reason: "CredentialsMismatch",
    });
  }
});
