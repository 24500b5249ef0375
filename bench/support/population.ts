import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { hasCode, KeysteadError } from "../../src/errors.ts";
import { CONNECTION, ENVIRONMENT, INTEGRATION } from "../../src/resources/kinds.ts";
import type { KubeClient } from "../../src/kube/client.ts";
import type { KubeObject, KubeSecret } from "../../src/kube/object.ts";
import { listPages } from "../../src/kube/list.ts";
import { apiVersionOf, NAMESPACE, resourcePath, SECRET, type ResourceKind } from "../../src/kube/resource-path.ts";
import { inParallel } from "./measure.ts";

/** Calls at one time, as many as the client has connections. */
const IN_FLIGHT = 32;

/** Between two looks at whether they are gone: a list of thousands is no small answer. */
const RELEASE_POLL_MS = 500;

const POLL_MS = 100;
const PATIENCE_MS = 60_000;

/** Length of the token that each Secret holds, in characters: with its field the credential is about 1 KiB. */
export const TOKEN_CHARACTERS = 1_000;

const ENVIRONMENT_NAME = "production";
const INTEGRATION_NAME = "acme";
/** Key of the token in each Secret. */
const TOKEN_KEY = "token";

/** Makes a namespace; resolves as well when it is there already. */
export async function createNamespace(client: KubeClient, name: string): Promise<void> {
  await createIfAbsent(client, NAMESPACE, undefined, { metadata: { name } });
}

/** An Environment, and an Integration of the plainest kind in it. */
export async function createParents(client: KubeClient, namespace: string): Promise<void> {
  await createIfAbsent(client, ENVIRONMENT, namespace, { metadata: { name: ENVIRONMENT_NAME }, spec: {} });
  await createIfAbsent(client, INTEGRATION, namespace, {
    metadata: { name: INTEGRATION_NAME },
    spec: { environmentRef: { name: ENVIRONMENT_NAME }, provider: "acme", auth: { mode: "API_KEY" } },
  });
}

/** Names of `count` Connections, which their Secrets have too. */
export function namesOf(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}-${String(index).padStart(6, "0")}`);
}

/** Connections, each with a Secret of its own. */
export async function createConnections(
  client: KubeClient,
  namespace: string,
  names: readonly string[],
): Promise<void> {
  await inParallel(names, IN_FLIGHT, async (name) => {
    await createSecret(client, namespace, name);
    await createConnection(client, namespace, name);
  });
}

export async function createSecret(client: KubeClient, namespace: string, name: string): Promise<void> {
  await create(client, SECRET, namespace, { metadata: { name }, stringData: { [TOKEN_KEY]: newToken() } });
}

/** A token like those that Secrets are made with. */
export function newToken(): string {
  return randomBytes(TOKEN_CHARACTERS / 2).toString("hex");
}

/** Puts another token into a Secret that was made by `createSecret`. */
export async function editSecret(client: KubeClient, namespace: string, name: string, token: string): Promise<void> {
  await client.request({
    method: "PATCH",
    path: resourcePath(SECRET, { namespace, name }),
    contentType: "application/merge-patch+json",
    body: { stringData: { [TOKEN_KEY]: token } },
    discardAnswer: true,
  });
}

/** Resolves with the secret key of a namespace's Environment once a controller has written it. Throws `part_failed` after a minute. */
export async function whenSecretKey(client: KubeClient, namespace: string): Promise<string> {
  const path = resourcePath(SECRET, { namespace, name: `${ENVIRONMENT_NAME}-keystead` });
  for (const giveUpAt = performance.now() + PATIENCE_MS; performance.now() < giveUpAt; await delay(POLL_MS)) {
    try {
      const { data } = await client.request<KubeSecret>({ method: "GET", path });
      return Buffer.from(data?.["KEYSTEAD_SECRET_KEY"] ?? "", "base64").toString("utf8");
    } catch (error) {
      if (!hasCode(error, "kube_not_found")) throw error;
    }
  }
  throw new KeysteadError("part_failed", `No secret key was written within ${PATIENCE_MS / 1_000} s`);
}

/** A Secret that no resource refers to. */
export async function createUnrelatedSecret(
  client: KubeClient,
  namespace: string,
  name: string,
  payload: Buffer,
): Promise<void> {
  await create(client, SECRET, namespace, { metadata: { name }, data: { payload: payload.toString("base64") } });
}

export async function createConnection(client: KubeClient, namespace: string, name: string): Promise<void> {
  await create(client, CONNECTION, namespace, {
    metadata: { name },
    spec: {
      environmentRef: { name: ENVIRONMENT_NAME },
      integrationRef: { name: INTEGRATION_NAME },
      credentials: { apiKey: { apiKeyRef: { name, key: TOKEN_KEY } } },
      config: { subdomain: "acme" },
      tags: { team: "sales" },
    },
  });
}

/** Every Connection of a namespace. */
export async function listConnections(client: KubeClient, namespace: string): Promise<KubeObject[]> {
  const found: KubeObject[] = [];
  await listPages(client, {
    path: resourcePath(CONNECTION, { namespace }),
    page: (objects) => void found.push(...objects),
    restart: () => void found.splice(0),
  });
  return found;
}

/** Removes all Connections of a namespace behind the back of every controller. */
export async function removeConnections(client: KubeClient, namespace: string): Promise<void> {
  const found = await listConnections(client, namespace);
  await inParallel(found, IN_FLIGHT, async ({ metadata: { name, finalizers } }) => {
    const path = resourcePath(CONNECTION, { namespace, name });
    const contentType = "application/merge-patch+json";
    const body = { metadata: { finalizers: null } };
    if (finalizers) await client.request({ method: "PATCH", path, contentType, body, discardAnswer: true });
    await client.request({ method: "DELETE", path, discardAnswer: true });
  });
}

/** Has a controller that runs let go of all Connections of a namespace: nothing is left that it would find orphaned. */
export async function releaseConnections(client: KubeClient, namespace: string): Promise<void> {
  await inParallel(await listConnections(client, namespace), IN_FLIGHT, async ({ metadata: { name } }) => {
    await client.request({
      method: "DELETE",
      path: resourcePath(CONNECTION, { namespace, name }),
      discardAnswer: true,
    });
  });
  while ((await listConnections(client, namespace)).length > 0) await delay(RELEASE_POLL_MS);
}

/** Whether the status says Ready for the generation that the object has. */
export function isReady(object: KubeObject): boolean {
  const status: { observedGeneration?: number; conditions?: { type: string; status: string }[] } = object.status ?? {};
  const ready = status.conditions?.find((condition) => condition.type === "Ready");
  return ready?.status === "True" && status.observedGeneration === object.metadata.generation;
}

async function create(client: KubeClient, kind: ResourceKind, namespace: string | undefined, object: object) {
  await client.request({
    method: "POST",
    path: resourcePath(kind, { namespace }),
    body: { apiVersion: apiVersionOf(kind), kind: kind.kind, ...object },
    discardAnswer: true,
  });
}

async function createIfAbsent(client: KubeClient, kind: ResourceKind, namespace: string | undefined, object: object) {
  try {
    await create(client, kind, namespace, object);
  } catch (error) {
    if (!hasCode(error, "kube_already_exists") && !hasCode(error, "kube_conflict")) throw error;
  }
}
