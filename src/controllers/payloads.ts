import type { ObjectKey } from "../kube/object.ts";
import type { SecretObject } from "./secret-value.ts";

/**
 * Payloads of Secrets between reads, so that a Secret from which many resources take values is read once for all of them.
 * Those that everybody who refers to them has read make room first. The one used last is held whatever its size.
 */
export interface Payloads {
  /** What was kept of a Secret. Counts as a read of it. */
  find(key: ObjectKey): SecretObject | undefined;
  /** Keeps what was read for so many at once, in the place of what was kept before. */
  keep(key: ObjectKey, secret: SecretObject, readers: number): void;
  forget(key: ObjectKey): void;
}

/** For those that another resource may refer to next, or the same one after a failure: a thousand Secrets with a token each. */
const SPARE_BYTES = 1_048_576;

/**
 * For those that somebody has yet to read: a bound on how much secret material the process holds, five of the largest
 * Secrets there can be (1 MiB, which is 1.4 MiB of base64), and small enough for 120 MB in all beside 10,000 Connections.
 */
const MOST_BYTES = 8 * SPARE_BYTES;

/** What an entry takes beside its texts. */
const ENTRY_BYTES = 512;

interface Payload {
  readonly secret: SecretObject;
  readonly bytes: number;
  readonly readers: number;
}

/** Keeps nothing yet. `referrers` is how many resources refer to a Secret just now. */
export function createPayloads(referrers: (key: ObjectKey) => number): Payloads {
  // In each, what was used longest ago is the first.
  const needed = new Map<ObjectKey, Payload>();
  const spare = new Map<ObjectKey, Payload>();
  let bytes = 0;

  function take(key: ObjectKey): Payload | undefined {
    const payload = needed.get(key) ?? spare.get(key);
    bytes -= payload?.bytes ?? 0;
    needed.delete(key);
    spare.delete(key);
    return payload;
  }

  function put(key: ObjectKey, payload: Payload): void {
    // Whoever reads twice, after a failure, counts twice: at worst the last one has to ask the API server again.
    const readByAll = payload.readers >= referrers(key);
    (readByAll ? spare : needed).set(key, payload);
    bytes += payload.bytes;
  }

  function use(key: ObjectKey, payload: Payload): void {
    put(key, payload);
    for (const oldest of spare.keys()) {
      if (bytes <= SPARE_BYTES) break;
      if (oldest !== key) dropSpare(oldest);
    }
    for (const oldest of needed.keys()) {
      if (bytes <= MOST_BYTES) break;
      if (oldest !== key) take(oldest);
    }
  }

  function dropSpare(key: ObjectKey): void {
    const payload = take(key);
    // Others may refer to it by now.
    if (payload && payload.readers < referrers(key)) put(key, payload);
  }

  return {
    find(key) {
      const payload = take(key);
      if (payload) use(key, { ...payload, readers: payload.readers + 1 });
      return payload?.secret;
    },
    keep(key, secret, readers) {
      take(key);
      use(key, { secret: withoutTheRest(secret), bytes: bytesOf(secret), readers });
    },
    forget: (key) => void take(key),
  };
}

/** Annotations and managed fields may be as large as the values, and hold them once more. */
function withoutTheRest({ metadata, type, data }: SecretObject): SecretObject {
  const { name, uid, resourceVersion } = metadata;
  return { metadata: { name, uid, resourceVersion }, ...(type !== undefined && { type }), ...(data && { data }) };
}

function bytesOf({ data = {} }: SecretObject): number {
  return Object.entries(data).reduce((sum, [key, value]) => sum + key.length + value.length, ENTRY_BYTES);
}
