import { hasCode } from "../errors.ts";
import type { KubeClient } from "../kube/client.ts";
import type { CallPriority } from "../kube/call-slots.ts";
import { type ObjectKey, objectKey, splitKey } from "../kube/object.ts";
import { SECRET, resourcePath } from "../kube/resource-path.ts";
import type { SecretObject } from "./secret-value.ts";

/** Identity and version of a Secret, all that the watch keeps of it. */
export interface SecretVersion {
  readonly uid: string;
  readonly resourceVersion: string;
}

/**
 * Payloads remembered between reads, in bytes of base64: enough for the Secrets that many Connections share, and a
 * bound on how much secret material the process holds.
 */
const PAYLOAD_CACHE_BYTES = 1_048_576;

/**
 * What the controller knows of Secrets: versions from the metadata watch, payloads by name and only when used. Reads of
 * one Secret at the same moment share one GET, and a payload is used again only while the watch still shows its version.
 */
export interface Secrets {
  /** The newest known version, or undefined for a Secret that is absent, or that nobody referred to so far. */
  version(key: ObjectKey): SecretVersion | undefined;
  /**
   * Reads a Secret by name; undefined where it does not exist. Throws the client's `kube_*` codes. Has no signal: callers
   * share the answer, so none of them may end the call, which the client ends after 30 s.
   */
  read(namespace: string, name: string, priority?: CallPriority): Promise<SecretObject | undefined>;
  /** Has to be called for each watch event on a Secret: forgets what was read before it. */
  changed(key: ObjectKey): void;
}

/** What the metadata watch knows. */
export interface SecretVersions {
  readonly version: (key: ObjectKey) => SecretVersion | undefined;
  /** Takes in a Secret that nobody referred to when the watch went past it: from then on its end is heard of, too. */
  readonly adopt: (secret: SecretObject) => void;
}

export function createSecrets(client: KubeClient, { version, adopt }: SecretVersions): Secrets {
  const inFlight = new Map<ObjectKey, { answer: Promise<SecretObject | undefined>; overtaken: boolean }>();
  const payloads = new Map<ObjectKey, { secret: SecretObject; bytes: number }>();
  let payloadBytes = 0;

  function forgetPayload(key: ObjectKey): void {
    payloadBytes -= payloads.get(key)?.bytes ?? 0;
    payloads.delete(key);
  }

  function remember(key: ObjectKey, secret: SecretObject): void {
    const bytes = Object.values(secret.data ?? {}).reduce((sum, value) => sum + value.length, 0);
    forgetPayload(key);
    payloads.set(key, { secret, bytes });
    payloadBytes += bytes;
    for (const oldest of payloads.keys()) {
      if (payloadBytes <= PAYLOAD_CACHE_BYTES) break;
      forgetPayload(oldest);
    }
  }

  async function get(key: ObjectKey, priority: CallPriority | undefined): Promise<SecretObject | undefined> {
    const flight = inFlight.get(key);
    try {
      const secret = await client.request<SecretObject>({
        method: "GET",
        path: resourcePath(SECRET, splitKey(key)),
        priority,
      });
      // An event that came while the answer was on its way may be newer than the answer: then the watch knows better.
      if (!flight?.overtaken) {
        adopt(secret);
        remember(key, secret);
      }
      return secret;
    } catch (error) {
      if (hasCode(error, "kube_not_found")) return undefined;
      throw error;
    }
  }

  return {
    version,
    async read(namespace, name, priority) {
      const key = objectKey(namespace, name);
      const known = version(key);
      const held = payloads.get(key)?.secret;
      if (held && held.metadata.resourceVersion === known?.resourceVersion && held.metadata.uid === known.uid) {
        return held;
      }
      let flight = inFlight.get(key);
      if (!flight || flight.overtaken) {
        const started = { answer: Promise.resolve<SecretObject | undefined>(undefined), overtaken: false };
        inFlight.set(key, started);
        started.answer = get(key, priority).finally(() => {
          if (inFlight.get(key) === started) inFlight.delete(key);
        });
        flight = started;
      }
      return await flight.answer;
    },
    changed(key) {
      forgetPayload(key);
      const flight = inFlight.get(key);
      if (flight) flight.overtaken = true;
    },
  };
}
