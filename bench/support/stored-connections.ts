import { randomBytes, randomUUID } from "node:crypto";
import type { ChildProcesses } from "../../dev/processes/child-processes.ts";
import { freePorts } from "../../dev/processes/free-port.ts";
import { createKeyEncryptionKeys } from "../../src/crypto/kek.ts";
import { Secret } from "../../src/crypto/secret.ts";
import { openDatabase } from "../../src/db/database.ts";
import { createReign } from "../../src/vault/reign.ts";
import { createReigningVault } from "../../src/vault/reigning-vault.ts";
import { storeConnection } from "../../src/vault/store-connection.ts";
import { storeEnvironment } from "../../src/vault/store-environment.ts";
import { storeIntegration } from "../../src/vault/store-integration.ts";
import { openVault } from "../../src/vault/vault.ts";
import type { ArenaDatabase } from "./arena.ts";
import { API_ENVIRONMENT, EMITTED_MAIN, nodeArguments } from "./emitted.ts";
import { inParallel } from "./measure.ts";
import { namesOf, TOKEN_CHARACTERS } from "./population.ts";
import { whenServed } from "./served.ts";

const PROVIDER_CONFIG_KEY = "acme";

/** Rows in flight while the table is filled; a batch of the vault takes as many. */
const STORES_IN_FLIGHT = 64;

/** What was stored, and how to get at it. */
export interface Stored {
  readonly encryptionKey: string;
  readonly environmentId: string;
  readonly integrationId: string;
  /** Of the environment. */
  readonly secretKey: string;
  readonly names: readonly string[];
}

/** A server to ask. */
export interface Contender {
  readonly pid: number;
  readonly port: number;
  readonly request: (connectionId: string) => string;
}

/** The API as a process of its own. */
export interface RunningApi extends Contender {
  stop(): Promise<void>;
}

/** Cluster and release of all resources here. */
const MANAGER = { cluster: "bench", release: "keystead" };

function ownerOf(name: string) {
  return { ...MANAGER, namespace: "bench", name, uid: randomUUID() };
}

/** Stores so many connections in an environment, as a controller would. */
export async function fill({ url }: Pick<ArenaDatabase, "url">, connections: number): Promise<Stored> {
  const encryptionKey = randomBytes(32).toString("base64");
  await using database = openDatabase({ url: new Secret(url), applicationName: "keystead bench" });
  const opened = await openVault({ database, keys: createKeyEncryptionKeys(new Secret(encryptionKey)) });
  const reign = createReign(database, { ...MANAGER, holder: "bench" });
  await reign.begin();
  const vault = createReigningVault(opened, reign);
  const owner = ownerOf("production");
  const { id: environmentId, secretKey } = await storeEnvironment(vault, {
    owner,
    retentionSeconds: 3_600,
    variables: [],
    declaration: {},
    sources: [],
  });
  const place = { environmentId, environmentUid: owner.uid };
  const { id: integrationId } = await storeIntegration(vault, {
    owner: ownerOf(PROVIDER_CONFIG_KEY),
    ...place,
    uniqueKey: PROVIDER_CONFIG_KEY,
    provider: "acme",
    declaration: {},
    settings: { auth: { mode: "API_KEY" } },
    sources: [],
  });
  const names = namesOf("connection", connections);
  await inParallel(names, STORES_IN_FLIGHT, async (name) => {
    const apiKey = randomBytes(TOKEN_CHARACTERS / 2).toString("hex");
    await storeConnection(vault, {
      owner: ownerOf(name),
      ...place,
      integrationId,
      connectionId: name,
      credentials: { type: "API_KEY", value: { type: "API_KEY", apiKey } },
      declaration: { name },
      config: { subdomain: "acme" },
      tags: { team: "sales" },
      sources: [],
    });
  });
  return { encryptionKey, environmentId, integrationId, secretKey: secretKey.reveal(), names };
}

/** Stores so many environments with nothing in them; the encryption key. */
export async function fillEnvironments({ url }: Pick<ArenaDatabase, "url">, environments: number): Promise<string> {
  const encryptionKey = randomBytes(32).toString("base64");
  await using database = openDatabase({ url: new Secret(url), applicationName: "keystead bench" });
  const opened = await openVault({ database, keys: createKeyEncryptionKeys(new Secret(encryptionKey)) });
  const reign = createReign(database, { ...MANAGER, holder: "bench" });
  await reign.begin();
  const vault = createReigningVault(opened, reign);
  await inParallel(namesOf("environment", environments), STORES_IN_FLIGHT, async (name) => {
    await storeEnvironment(vault, {
      owner: ownerOf(name),
      retentionSeconds: 3_600,
      variables: [],
      declaration: {},
      sources: [],
    });
  });
  return encryptionKey;
}

export interface ApiOptions {
  /** Of its log. */
  readonly name?: string;
  readonly environment?: NodeJS.ProcessEnv;
}

/** Starts the API, as emitted, in its environment. */
export async function startApi(
  children: ChildProcesses,
  { url }: Pick<ArenaDatabase, "url">,
  stored: Pick<Stored, "encryptionKey" | "secretKey">,
  { name = "api", environment = {} }: ApiOptions = {},
): Promise<RunningApi> {
  const [port = 0, metricsPort = 0] = await freePorts(2);
  const child = children.start({
    name,
    command: process.execPath,
    args: [...nodeArguments(), EMITTED_MAIN, "api"],
    env: {
      ...API_ENVIRONMENT,
      DATABASE_URL: url,
      KEYSTEAD_ENCRYPTION_KEY: stored.encryptionKey,
      KEYSTEAD_API_HOST: "127.0.0.1",
      KEYSTEAD_API_PORT: String(port),
      KEYSTEAD_METRICS_HOST: "127.0.0.1",
      KEYSTEAD_METRICS_PORT: String(metricsPort),
      ...environment,
    },
    stopPhase: 2,
  });
  await whenServed(`http://127.0.0.1:${port}/readyz`);
  return {
    pid: child.pid,
    port,
    request: (id) => readRequest(id, stored.secretKey),
    async stop() {
      await child.stop();
    },
  };
}

/** The bytes of a read of a connection that was filled in. */
export function readRequest(connectionId: string, secretKey: string): string {
  const path = `/connections/${connectionId}?provider_config_key=${PROVIDER_CONFIG_KEY}`;
  return `GET ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer ${secretKey}\r\n\r\n`;
}
