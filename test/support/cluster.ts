import { expect, inject } from "vitest";
import { CONNECTION, ENVIRONMENT, INTEGRATION } from "../../src/resources/kinds.ts";
import { hasCode } from "../../src/errors.ts";
import { createKubeClient, type KubeClient } from "../../src/kube/client.ts";
import { loadIdentity } from "../../src/kube/identity.ts";
import { EVENT, LEASE, type ResourceKind, resourcePath, SECRET } from "../../src/kube/resource-path.ts";
import { eventually } from "./eventually.ts";
import { kstatusOf } from "./kstatus.ts";
import { conditionsOf, type Manifest, type Observed } from "./resources.ts";

export const KINDS = {
  environment: ENVIRONMENT,
  integration: INTEGRATION,
  connection: CONNECTION,
  secret: SECRET,
  lease: LEASE,
} as const satisfies Record<string, ResourceKind>;

/** An object of the namespace as kubectl takes it: `connection/acme`. */
export type Reference = `${keyof typeof KINDS}/${string}`;

/** An event about one of our objects. */
export interface ObservedEvent {
  readonly type: string;
  readonly reason: string;
  readonly note: string;
}

/**
 * The objects of one namespace, as the administrator sees and changes them. Straight over HTTP, because a kubectl costs
 * a fifth of a second of CPU; what a user types is tried with kubectl where it matters.
 */
export interface Objects {
  readonly client: KubeClient;
  /** Server-side apply of each, in this order. */
  apply(...manifests: readonly Manifest[]): Promise<void>;
  /** Throws `kube_not_found`. */
  get(reference: Reference): Promise<Observed>;
  find(reference: Reference): Promise<Observed | undefined>;
  /** JSON merge patch. */
  patch(reference: Reference, changes: object): Promise<void>;
  /** Asks for the deletion and does not wait for it. */
  startDelete(reference: Reference): Promise<void>;
  /** As `kubectl delete`: resolves when the objects are gone. */
  delete(...references: readonly Reference[]): Promise<void>;
  /** Resolves when all of them are what kstatus calls Current. */
  ready(...references: readonly Reference[]): Promise<void>;
  /** Resolves with the object when it has exactly these conditions, each `Type=Status Reason`, at its newest generation. */
  reach(reference: Reference, ...conditions: readonly string[]): Promise<Observed>;
  /** All events about the object, oldest first. */
  events(reference: Reference): Promise<ObservedEvent[]>;
}

/** A client with all rights. */
export async function administrator(): Promise<KubeClient> {
  return createKubeClient(await loadIdentity({ kubeconfig: inject("controlPlane").kubeconfig, env: {} }));
}

export function objectsOf(client: KubeClient, namespace: string): Objects {
  const request = <T>(method: "GET" | "DELETE", reference: Reference): Promise<T> =>
    client.request<T>({ method, path: pathOf(namespace, reference) });

  async function find(reference: Reference): Promise<Observed | undefined> {
    try {
      return await request<Observed>("GET", reference);
    } catch (error) {
      if (hasCode(error, "kube_not_found")) return undefined;
      throw error;
    }
  }

  async function startDelete(reference: Reference): Promise<void> {
    try {
      await request("DELETE", reference);
    } catch (error) {
      if (!hasCode(error, "kube_not_found")) throw error;
    }
  }

  return {
    client,
    async apply(...manifests) {
      for (const manifest of manifests) {
        await client.request({
          method: "PATCH",
          path: pathOf(namespace, referenceTo(manifest)),
          query: { fieldManager: "keystead-tests", force: "true", fieldValidation: "Strict" },
          contentType: "application/apply-patch+yaml",
          body: manifest,
        });
      }
    },
    get: (reference) => request<Observed>("GET", reference),
    find,
    async patch(reference, body) {
      const path = pathOf(namespace, reference);
      await client.request({ method: "PATCH", path, contentType: "application/merge-patch+json", body });
    },
    startDelete,
    async delete(...references) {
      for (const reference of references) await startDelete(reference);
      for (const reference of references) {
        await eventually(async () => expect(await find(reference), reference).toBeUndefined());
      }
    },
    async ready(...references) {
      for (const reference of references) {
        await eventually(async () => {
          const object = await request<Observed>("GET", reference);
          expect(kstatusOf(object), `${reference}: ${JSON.stringify(object.status)}`).toBe("Current");
        });
      }
    },
    reach: (reference, ...conditions) =>
      eventually(async () => {
        const object = await request<Observed>("GET", reference);
        expect(conditionsOf(object), JSON.stringify(object.status)).toEqual(conditions);
        expect(object.status?.observedGeneration).toBe(object.metadata.generation);
        return object;
      }),
    async events(reference) {
      const { uid } = await request<Observed>("GET", reference).then(({ metadata }) => metadata);
      return eventsAbout(client, namespace, uid);
    },
  };
}

/** Events about the object of that uid, which may be gone. */
export async function eventsAbout(client: KubeClient, namespace: string, uid: string): Promise<ObservedEvent[]> {
  const { items } = await client.request<{ items: readonly ListedEvent[] }>({
    method: "GET",
    path: resourcePath(EVENT, { namespace }),
    query: { fieldSelector: `regarding.uid=${uid}` },
  });
  const oldestFirst = items.toSorted((one, other) => one.eventTime.localeCompare(other.eventTime));
  return oldestFirst.map(({ type, reason, note }) => ({ type, reason, note }));
}

type ListedEvent = ObservedEvent & { readonly eventTime: string };

export function referenceTo(manifest: {
  readonly kind?: string;
  readonly metadata: { readonly name: string };
}): Reference {
  const kind = Object.entries(KINDS).find(([, { kind: name }]) => name === manifest.kind)?.[0] ?? "secret";
  return `${kind}/${manifest.metadata.name}` as Reference;
}

function pathOf(namespace: string, reference: Reference): string {
  const slash = reference.indexOf("/");
  const kind = KINDS[reference.slice(0, slash) as keyof typeof KINDS];
  return resourcePath(kind, { namespace, name: reference.slice(slash + 1) });
}
