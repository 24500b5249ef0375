import { objectKey } from "../kube/object.ts";
import type { SecretSource } from "../vault/owner.ts";
import type { CallOptions } from "./deps.ts";
import { type Outcome, waiting } from "./outcome.ts";
import { createSecretTaker, refuseForbiddenType, type SecretObject, type SecretTaker } from "./secret-value.ts";
import type { Secrets } from "./secrets.ts";

/** The Secrets of one resource, read: values to take, and the versions they were taken from. */
export interface ReadSources {
  readonly kind: "read";
  readonly take: SecretTaker;
  readonly sources: readonly SecretSource[];
}

/** The versions that the watch shows of these Secrets; undefined when it does not know one of them. */
export function knownSources(
  secrets: Secrets,
  namespace: string,
  names: readonly string[],
): SecretSource[] | undefined {
  const sources: SecretSource[] = [];
  for (const name of names) {
    const version = secrets.version(objectKey(namespace, name));
    if (!version) return undefined;
    sources.push({ name, uid: version.uid, resourceVersion: version.resourceVersion });
  }
  return sources;
}

/**
 * Reads the Secrets of one resource, all at once; or the outcome that says which is missing or must not be used.
 *
 * @param wanted Names of Secrets, and the keys that will be taken from each.
 */
export async function readSources(
  secrets: Secrets,
  namespace: string,
  wanted: ReadonlyMap<string, readonly string[]>,
  calls: CallOptions,
): Promise<ReadSources | Outcome> {
  const names = [...wanted.keys()];
  const read = await Promise.all(names.map((name) => secrets.read(namespace, name, calls.priority)));
  const found = new Map<string, SecretObject>();
  for (const [position, name] of names.entries()) {
    const secret = read[position];
    if (!secret) {
      return waiting(
        "SecretNotFound",
        `Secret ${name} does not exist in namespace ${namespace}. Create it${withKeys(wanted.get(name))}; this goes on by itself.`,
      );
    }
    const refused = refuseForbiddenType(secret);
    if (refused) return refused;
    found.set(name, secret);
  }
  const sources = [...found.values()].map(({ metadata }) => ({
    name: metadata.name,
    uid: metadata.uid,
    resourceVersion: metadata.resourceVersion,
  }));
  return { kind: "read", take: createSecretTaker(found), sources };
}

function withKeys(keys: readonly string[] = []): string {
  if (keys.length === 0) return "";
  return keys.length === 1 ? ` with the key ${keys[0]}` : ` with the keys ${keys.join(", ")}`;
}
