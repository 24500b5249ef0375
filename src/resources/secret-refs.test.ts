import { expect, test } from "vitest";
import { type Credential, credentialOf } from "./credentials.ts";
import { type Connection, parseConnection } from "./connection.ts";
import { parseEnvironment } from "./environment.ts";
import { parseIntegration } from "./integration.ts";
import { secretNamesOf } from "./secret-refs.ts";

const refs = { environmentRef: { name: "production" }, integrationRef: { name: "github" } };
const ref = (name: string) => ({ name, key: "k" });

function connectionWith(credentials: unknown): Connection {
  const parsed = parseConnection({ spec: { ...refs, credentials } });
  if (!parsed.ok) throw new TypeError(parsed.message);
  return parsed.value;
}

test.each<[kind: Credential["kind"], from: unknown, names: string[]]>([
  ["apiKey", { apiKeyRef: ref("a") }, ["a"]],
  ["basic", { username: "u", passwordRef: ref("a") }, ["a"]],
  ["basic", { usernameRef: ref("b"), passwordRef: ref("a") }, ["b", "a"]],
  ["oauth2", { accessTokenRef: ref("a"), refreshTokenRef: ref("b") }, ["a", "b"]],
  ["oauth2ClientCredentials", { clientIdRef: ref("a"), clientSecretRef: ref("a") }, ["a"]],
  ["app", { installationId: "1" }, []],
  ["jwt", { privateKeyRef: ref("a"), claims: { privateKeyRef: { name: "no" } } }, ["a"]],
  ["custom", { secretRef: { name: "a" } }, ["a"]],
])("credentials.%s with %j takes its values from %j, each Secret named once", (kind, from, names) => {
  const connection = connectionWith({ [kind]: from });

  expect(secretNamesOf(connection)).toEqual(names);
  expect(credentialOf(connection.spec.credentials)).toEqual({ kind, from });
});

test("a connection that waits for a person refers to no Secret", () => {
  const connection = connectionWith(undefined);

  expect(secretNamesOf(connection)).toEqual([]);
  expect(credentialOf(connection.spec.credentials)).toBeUndefined();
});

test("an environment refers to the Secrets of its variables, an integration to those of its client and its app", () => {
  const environment = parseEnvironment({
    spec: {
      variables: [
        { name: "A", value: "x" },
        { name: "B", valueFrom: { secretKeyRef: ref("app") } },
      ],
    },
  });
  const integration = parseIntegration({
    spec: {
      environmentRef: refs.environmentRef,
      auth: { mode: "APP" },
      clientIdRef: ref("a"),
      clientSecretRef: ref("b"),
      privateKeyRef: ref("c"),
    },
  });

  expect(environment.ok && secretNamesOf(environment.value)).toEqual(["app"]);
  expect(integration.ok && secretNamesOf(integration.value)).toEqual(["a", "b", "c"]);
});
