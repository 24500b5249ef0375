import { randomBytes } from "node:crypto";
import { KeysteadError } from "../../src/errors.ts";
import { EVENT, resourcePath } from "../../src/kube/resource-path.ts";
import { administrator, KINDS, type Objects, objectsOf } from "./cluster.ts";
import { controllerKubeconfig } from "./controller-identity.ts";
import { type History, recordHistory } from "./history.ts";
import { type KeysteadProcess, startProcess } from "./keystead-process.ts";
import { type Place, readTables, searchLeaks } from "./leaks.ts";
import { createDatabase, createNamespace, type TestDatabase } from "./servers.ts";
import { breachesOf } from "./status-contract.ts";

/** Where the Secret of every Environment says the API is. */
export const SERVICE_URL = "http://keystead.test:3003";

/** A namespace, a database and a key of their own, and processes of Keystead on them. */
export interface Installation extends AsyncDisposable {
  readonly namespace: string;
  readonly database: TestDatabase;
  readonly objects: Objects;
  readonly history: History;
  /** What every process of it is started with. */
  readonly environment: Readonly<Record<string, string>>;
  start(command: "controller" | "api" | "run", environment?: Readonly<Record<string, string>>): KeysteadProcess;
  /** Base URL of the API that the process serves. */
  apiOf(process: KeysteadProcess): Promise<string>;
  /** Adds a text to the places where no secret may stand. */
  remember(place: Place): void;
  /** Which secrets of this test file stand where they must not. */
  leaks(): Promise<string[]>;
}

/**
 * Prepares an installation that watches one namespace; nothing runs yet. Whatever a test does with it, two things are
 * claimed when it is disposed: that every object kept the status contract all its life, and that no secret is anywhere.
 */
export async function createInstallation(prefix: string): Promise<Installation> {
  await using stack = new AsyncDisposableStack();
  const client = stack.use(await administrator());
  const [namespace, database] = await Promise.all([createNamespace(prefix), createDatabase()]);
  stack.use(database);
  const history = stack.use(await recordHistory(client, namespace.name));
  const environment = {
    KUBECONFIG: await controllerKubeconfig(client, namespace.name),
    DATABASE_URL: database.url,
    KEYSTEAD_ENCRYPTION_KEY: randomBytes(32).toString("base64"),
    KEYSTEAD_NAMESPACE: namespace.name,
    KEYSTEAD_WATCH_NAMESPACES: namespace.name,
    KEYSTEAD_SERVICE_URL: SERVICE_URL,
    KEYSTEAD_API_PORT: "0",
    KEYSTEAD_API_HOST: "127.0.0.1",
    KEYSTEAD_METRICS_PORT: "0",
    KEYSTEAD_METRICS_HOST: "127.0.0.1",
    KEYSTEAD_LOG_FORMAT: "json",
  };
  const processes: KeysteadProcess[] = [];
  const remembered: Place[] = [];

  async function leaks(): Promise<string[]> {
    const lists = [...["environment", "integration", "connection"].map((kind) => KINDS[kind as "environment"]), EVENT];
    const objects = lists.map(async (kind): Promise<Place> => {
      const list = await client.request({ method: "GET", path: resourcePath(kind, { namespace: namespace.name }) });
      return { name: kind.plural, text: JSON.stringify(list) };
    });
    const metrics = processes
      .filter(({ running }) => running)
      .map(async (process): Promise<Place> => {
        const answer = await fetch(`${await process.metricsUrl()}/metrics`);
        return { name: "the metrics", text: await answer.text() };
      });
    const logs = processes.map((process): Place => ({ name: "the log", text: process.output() }));
    const places = await Promise.all([...objects, ...metrics]);
    return searchLeaks([...places, ...logs, ...remembered, ...(await readTables(database.ownerUrl))], {
      "the encryption key": environment.KEYSTEAD_ENCRYPTION_KEY,
    });
  }

  const owned = stack.move();
  return {
    namespace: namespace.name,
    database,
    objects: objectsOf(client, namespace.name),
    history,
    environment,
    start(command, more = {}) {
      const process = startProcess([command], { ...environment, ...more });
      processes.push(process);
      return process;
    },
    async apiOf(process) {
      const { port } = await process.logged("the API is served");
      return `http://127.0.0.1:${String(port)}`;
    },
    remember: (place) => void remembered.push(place),
    leaks,
    async [Symbol.asyncDispose]() {
      const found = await leaks();
      await Promise.all(processes.map((process) => process[Symbol.asyncDispose]()));
      await owned.disposeAsync();
      found.push(...[...history.byUid.values()].flatMap(breachesOf));
      if (found.length > 0) throw new KeysteadError("internal_error", `promises were broken:\n${found.join("\n")}`);
    },
  };
}
