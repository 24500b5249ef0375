import { hasCode } from "../errors.ts";
import type { KubeClient } from "../kube/client.ts";
import type { CallPriority } from "../kube/call-slots.ts";
import { type ObjectKey, objectKey, splitKey } from "../kube/object.ts";
import { SECRET, resourcePath } from "../kube/resource-path.ts";
import { createPayloads } from "./payloads.ts";
import type { SecretObject } from "./secret-value.ts";

/** Identity and version of a Secret, all that the watch keeps of it. */
export interface SecretVersion {
  readonly uid: string;
  readonly resourceVersion: string;
}

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

/** What the watches know. */
export interface SecretVersions {
  readonly version: (key: ObjectKey) => SecretVersion | undefined;
  /** Takes in a Secret that nobody referred to when the watch went past it: from then on its end is heard of, too. */
  readonly adopt: (secret: SecretObject) => void;
  /** How many resources refer to a Secret. */
  readonly referrers: (key: ObjectKey) => number;
}

/** A GET under way, and for how many. */
interface Flight {
  answer: Promise<SecretObject | undefined>;
  overtaken: boolean;
  readers: number;
}

export function createSecrets(client: KubeClient, { version, adopt, referrers }: SecretVersions): Secrets {
  const inFlight = new Map<ObjectKey, Flight>();
  const payloads = createPayloads(referrers);

  async function get(key: ObjectKey, flight: Flight, priority?: CallPriority): Promise<SecretObject | undefined> {
    try {
      const secret = await client.request<SecretObject>({
        method: "GET",
        path: resourcePath(SECRET, splitKey(key)),
        priority,
      });
      // An event that came while the answer was on its way may be newer than the answer: then the watch knows better.
      if (!flight.overtaken) {
        adopt(secret);
        payloads.keep(key, secret, flight.readers);
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
      const held = payloads.find(key);
      if (held && held.metadata.resourceVersion === known?.resourceVersion && held.metadata.uid === known.uid) {
        return held;
      }
      let flight = inFlight.get(key);
      if (!flight || flight.overtaken) {
        const started: Flight = { answer: Promise.resolve(undefined), overtaken: false, readers: 0 };
        inFlight.set(key, started);
        started.answer = get(key, started, priority).finally(() => {
          if (inFlight.get(key) === started) inFlight.delete(key);
        });
        flight = started;
      }
      flight.readers += 1;
      return await flight.answer;
    },
    changed(key) {
      payloads.forget(key);
      const flight = inFlight.get(key);
      if (flight) flight.overtaken = true;
    },
  };
}
