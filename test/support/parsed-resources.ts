import { KeysteadError } from "../../src/errors.ts";
import { type Connection, parseConnection } from "../../src/resources/connection.ts";
import { type Environment, parseEnvironment } from "../../src/resources/environment.ts";
import { type Integration, parseIntegration } from "../../src/resources/integration.ts";
import type { Parsed } from "../../src/resources/parse.ts";

type Metadata = Readonly<Record<string, unknown>>;

const METADATA = {
  namespace: "shop",
  uid: "0b8f5f0e-9d7a-4c3e-8a65-2f1f3f0f9a01",
  resourceVersion: "1",
  generation: 1,
};

/** Resources as the watch hands them on: parsed by the product's own parsers, so that no field can be made up. */
export function parsedEnvironment(name = "production", spec: object = {}, metadata: Metadata = {}): Environment {
  return valid(parseEnvironment({ metadata: { ...METADATA, name, ...metadata }, spec }));
}

export function parsedIntegration(name = "stripe", spec: object = {}, metadata: Metadata = {}): Integration {
  const required = { environmentRef: { name: "production" }, auth: { mode: "API_KEY" } };
  return valid(parseIntegration({ metadata: { ...METADATA, name, ...metadata }, spec: { ...required, ...spec } }));
}

export function parsedConnection(name = "acme", spec: object = {}, metadata: Metadata = {}): Connection {
  const required = {
    environmentRef: { name: "production" },
    integrationRef: { name: "stripe" },
    credentials: { apiKey: { apiKeyRef: { name, key: "token" } } },
  };
  return valid(parseConnection({ metadata: { ...METADATA, name, ...metadata }, spec: { ...required, ...spec } }));
}

function valid<R extends Connection | Environment | Integration>(parsed: Parsed<R>): R {
  if (!parsed.ok) throw new KeysteadError("internal_error", `the test's own resource is invalid: ${parsed.message}`);
  return parsed.value;
}
