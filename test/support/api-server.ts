import { randomBytes, randomUUID } from "node:crypto";
import { Writable } from "node:stream";
import { Nango } from "@nangohq/node";
import { createApi } from "../../src/api/api.ts";
import type { Certificate } from "../../src/api/certificate.ts";
import { TIMEOUTS, type Timeouts } from "../../src/api/limits.ts";
import { createRequestLimits, type RequestLimits } from "../../src/api/request-limits.ts";
import type { ApiDeps } from "../../src/api/route.ts";
import type { JsonObject } from "../../src/crypto/canonical-json.ts";
import { createKeyEncryptionKeys } from "../../src/crypto/kek.ts";
import { Secret } from "../../src/crypto/secret.ts";
import { openDatabase } from "../../src/db/database.ts";
import type { DiallerOptions } from "../../src/outbound/dialler.ts";
import { createOutbound } from "../../src/outbound/outbound.ts";
import { originOf, type ProxySpec } from "../../src/resources/proxy.ts";
import { createApiMetrics } from "../../src/telemetry/api-metrics.ts";
import { createLog, type Log } from "../../src/telemetry/log.ts";
import type { MetricsRegistry } from "../../src/telemetry/prometheus.ts";
import { createDatabaseReadiness } from "../../src/telemetry/readiness.ts";
import { createRegistry } from "../../src/telemetry/registry.ts";
import type { DesiredConnection } from "../../src/vault/connection.ts";
import type { ReigningVault } from "../../src/vault/context.ts";
import type { DesiredEnvironment, StoredEnvironment } from "../../src/vault/environment.ts";
import type { StoredIntegration } from "../../src/vault/integration.ts";
import type { Actor, Owner } from "../../src/vault/owner.ts";
import type { DesiredApiKey } from "../../src/vault/api-key.ts";
import { readSecretKeys } from "../../src/vault/read-environment-secret-key.ts";
import { storeApiKeys } from "../../src/vault/store-api-keys.ts";
import { softDeleteConnection } from "../../src/vault/soft-delete-connection.ts";
import { softDeleteEnvironment } from "../../src/vault/soft-delete-environment.ts";
import { storeConnection } from "../../src/vault/store-connection.ts";
import { storeEnvironment } from "../../src/vault/store-environment.ts";
import { storeIntegration } from "../../src/vault/store-integration.ts";
import { openVault } from "../../src/vault/vault.ts";
import { createDatabase, type TestDatabase } from "./servers.ts";
import { startSeverableProxy, type SeverableProxy } from "./severable-proxy.ts";
import { beginReign } from "./vault.ts";

/** A running API on a database of its own, with everything it logs. */
export interface TestApi extends AsyncDisposable {
  readonly url: string;
  /** A controller's, on the same way to the database. */
  readonly vault: ReigningVault;
  readonly database: TestDatabase;
  /** The way from the API to the database. */
  readonly wire: SeverableProxy;
  readonly registry: MetricsRegistry;
  readonly log: Log;
  /** Exchanges nothing by itself. */
  readonly limits: RequestLimits;
  /** All that was logged so far, down to `trace`. */
  logged(): string;
  use(certificate: Certificate): void;
  /** Ends the API alone. */
  close(): Promise<void>;
}

/** An environment in the database, as a controller would have stored it. */
export interface TestEnvironment {
  readonly id: string;
  readonly key: string;
  /** The public client, with the environment's key. */
  readonly nango: Nango;
  /** The same with another key. */
  client(key: string): Nango;
  integration(name: string, options?: IntegrationOptions): Promise<StoredIntegration>;
  connection(
    integration: StoredIntegration,
    connectionId: string,
    options?: ConnectionOptions,
  ): Promise<TestConnection>;
  /** Makes these the named keys of the environment, and gives the key of each. */
  apiKeys(...keys: readonly (Pick<DesiredApiKey, "name" | "scopes"> & Partial<DesiredApiKey>)[]): Promise<string[]>;
  /** How often and from where its keys may be used. */
  limit(limits: Pick<DesiredEnvironment, "requestsPerMinute" | "allowedCidrs">): Promise<unknown>;
  remove(): Promise<unknown>;
}

/** A stored connection that its resource can change and delete. */
export interface TestConnection {
  change(options: ConnectionOptions): Promise<unknown>;
  remove(): Promise<unknown>;
}

interface IntegrationOptions {
  readonly mode?: string;
  readonly provider?: string;
  readonly client?: JsonObject;
  readonly proxy?: ProxySpec;
  /** Default: all that `proxy` declares. */
  readonly acceptedOrigins?: readonly string[];
}

type ConnectionOptions = Partial<Pick<DesiredConnection, "credentials" | "config" | "metadata" | "tags" | "endUser">>;

/** Who changes and deletes things that no resource stands behind. */
const TEST: Actor = { kind: "system", name: "test" };

/** What a test may want otherwise than it is. */
interface TestApiOptions extends Pick<Partial<ApiDeps>, "cutOff" | "trustedProxies" | "certificate"> {
  /** What the proxy may call. Default: what everybody may. */
  readonly wayOut?: DiallerOptions;
}

export async function startTestApi(
  timeouts: Partial<Timeouts> = {},
  { wayOut = { allow: [] }, ...options }: TestApiOptions = {},
): Promise<TestApi> {
  const stack = new AsyncDisposableStack();
  const database = stack.use(await createDatabase());
  let logged = "";
  const destination = new Writable({
    write(chunk: Buffer, _encoding, done) {
      logged += chunk.toString();
      done();
    },
  });
  const log = await createLog({ level: "trace", format: "json" }, { process: "api", destination });
  const url = new URL(database.url);
  const wire = stack.use(await startSeverableProxy({ host: url.hostname, port: Number(url.port) }));
  url.port = String(wire.port);
  const connections = stack.use(openDatabase({ url: new Secret(url.href), applicationName: "keystead-api-test" }));
  const keys = createKeyEncryptionKeys(new Secret(randomBytes(32).toString("base64")));
  const vault = await openVault({ database: connections, keys });
  const registry = createRegistry({ version: "test" });
  const limits = createRequestLimits(vault);
  const readiness = createDatabaseReadiness();
  readiness.proven();
  const outbound = stack.use(createOutbound(wayOut));
  const api = stack.use(
    createApi(
      {
        vault,
        metrics: createApiMetrics(registry),
        log,
        outbound,
        readyz: () => readiness.verdict(),
        trustedProxies: [],
        limits,
        ...options,
      },
      { ...TIMEOUTS, ...timeouts },
    ),
  );
  const port = await api.listen({ port: 0, host: "127.0.0.1" });
  return {
    url: `${options.certificate ? "https" : "http"}://127.0.0.1:${port}`,
    vault: await beginReign(vault, "the tests"),
    database,
    wire,
    registry,
    log,
    limits,
    use: (certificate) => api.use(certificate),
    logged: () => logged,
    async close() {
      await api[Symbol.asyncDispose]();
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** Stores an environment and gives what is needed to put something into it and to ask for it. */
export async function createEnvironment(
  api: TestApi,
  variables: Readonly<Record<string, string>> = {},
): Promise<TestEnvironment> {
  const owner = newOwner("environment");
  const declared: DesiredEnvironment = {
    owner,
    retentionSeconds: 3_600,
    variables: Object.entries(variables).map(([name, value]) => ({ name, value: new Secret(value) })),
    declaration: { variables: Object.keys(variables) },
    sources: [],
  };
  const environment: StoredEnvironment = await storeEnvironment(api.vault, declared);
  const key = environment.secretKey.reveal();
  const place = { environmentId: environment.id, environmentUid: owner.uid };
  return {
    id: environment.id,
    key,
    nango: new Nango({ host: api.url, apiKey: key }),
    client: (other) => new Nango({ host: api.url, apiKey: other }),
    integration: (name, { mode = "API_KEY", provider = name, client, proxy, acceptedOrigins } = {}) =>
      storeIntegration(api.vault, {
        owner: newOwner(name),
        ...place,
        uniqueKey: name,
        provider,
        client,
        declaration: { client: client !== undefined },
        settings: { auth: { mode }, proxy },
        acceptedOrigins: acceptedOrigins ?? originsOf(proxy),
        sources: [],
      }),
    async connection(integration, connectionId, options = {}) {
      const identity = {
        owner: newOwner("connection"),
        ...place,
        integrationId: integration.id,
        connectionId,
      };
      const store = (changed: ConnectionOptions) =>
        storeConnection(api.vault, { ...identity, ...DEFAULT_CONNECTION, ...options, ...changed });
      await store({});
      return { change: store, remove: () => softDeleteConnection(api.vault, identity.owner.uid, TEST) };
    },
    async apiKeys(...desired) {
      const keys = desired.map(({ name, scopes, connectionSelector, expiresAfterSeconds }) => ({
        name,
        scopes,
        connectionSelector,
        expiresAfterSeconds,
        rotationToken: undefined,
      }));
      await storeApiKeys(api.vault, { environmentId: environment.id, owner, keys });
      const made = keys.map(({ name }) => readSecretKeys(api.vault, environment.id, name));
      return (await Promise.all(made)).map(({ current }) => current.reveal());
    },
    limit: (limits) => storeEnvironment(api.vault, { ...declared, ...limits }),
    remove: () => softDeleteEnvironment(api.vault, owner.uid, TEST),
  };
}

const DEFAULT_CONNECTION = {
  credentials: { type: "API_KEY", value: { apiKey: "k-1" } },
  declaration: { credentials: true },
  config: {},
  tags: {},
  sources: [],
} as const;

/** Parents and children live in one cluster. */
const CLUSTER = randomUUID();

function newOwner(name: string): Owner {
  return { cluster: CLUSTER, release: "keystead", namespace: "shop", name, uid: randomUUID() };
}

/** One request of a client that is not the public one. */
export function ask(api: TestApi, path: string, key?: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  if (key !== undefined) headers.set("authorization", `Bearer ${key}`);
  return fetch(api.url + path, { ...init, headers });
}

function originsOf(proxy: ProxySpec | undefined): string[] | undefined {
  if (!proxy) return undefined;
  return [proxy.baseUrl, ...(proxy.allowedBaseUrls ?? [])].flatMap((url) => originOf(url) ?? []);
}
