import { stalled, waiting, type Outcome } from "./outcome.ts";

/** Largest value of one Secret key taken as a credential, in bytes. A certificate chain with its key stays under 20 KiB. */
export const MAX_SECRET_VALUE_BYTES = 65_536;

/** Types whose content gives power over the cluster itself: a credential must never be read from one or handed out (CVE-2026-42876). */
const FORBIDDEN_TYPES: ReadonlySet<string> = new Set([
  "kubernetes.io/service-account-token",
  "bootstrap.kubernetes.io/token",
  "helm.sh/release.v1",
]);

/** The part of a core/v1 Secret that is used here; `data` values are base64 as the API server sends them. */
export interface SecretObject {
  readonly metadata: {
    readonly namespace?: string;
    readonly name: string;
    readonly uid: string;
    readonly resourceVersion: string;
  };
  readonly type?: string;
  readonly data?: Readonly<Record<string, string>>;
}

interface SecretKey {
  readonly name: string;
  readonly key: string;
}

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Refuses a Secret of a type that must never be a source. */
export function refuseForbiddenType(secret: SecretObject): Outcome | undefined {
  if (secret.type === undefined || !FORBIDDEN_TYPES.has(secret.type)) return undefined;
  return stalled(
    "ForbiddenSecretType",
    `Secret ${secret.metadata.name} is of type ${secret.type}, which Keystead never reads credentials from. Put the value into a Secret of type Opaque.`,
  );
}

/**
 * Takes values out of the Secrets that one resource refers to. The first problem met is kept in `problem`, and whoever
 * takes checks it once at the end: a value taken after that is an empty placeholder that is never used.
 */
export interface SecretTaker {
  value(reference: SecretKey): string;
  /** Every key of a Secret with its value, in the order of the keys. */
  all(name: string): ReadonlyMap<string, string>;
  /** The outcome that says which Secret, which key and what to do; undefined while everything was fine. */
  readonly problem: Outcome | undefined;
}

/** `secrets` has to hold every Secret that is referred to, by name. */
export function createSecretTaker(secrets: ReadonlyMap<string, SecretObject>): SecretTaker {
  let problem: Outcome | undefined;

  function value(reference: SecretKey): string {
    const data = secrets.get(reference.name)?.data ?? {};
    const taken = decode(reference, Object.hasOwn(data, reference.key) ? data[reference.key] : undefined);
    if (typeof taken === "string") return taken;
    problem ??= taken;
    return "";
  }

  return {
    value,
    all(name) {
      const keys = Object.keys(secrets.get(name)?.data ?? {}).toSorted();
      if (keys.length === 0) {
        problem ??= waiting("SecretNotFound", `Secret ${name} has no keys. Add the credential's fields to it.`);
      }
      return new Map(keys.map((key) => [key, value({ name, key })]));
    },
    get problem() {
      return problem;
    },
  };
}

function decode({ name, key }: SecretKey, encoded: string | undefined): string | Outcome {
  if (encoded === undefined)
    return waiting("SecretNotFound", `Secret ${name} has no key ${key}. Add it to the Secret.`);
  const bytes = Buffer.from(encoded, "base64");
  const invalid = (problem: string): Outcome =>
    stalled("InvalidSecretValue", `Key ${key} of Secret ${name} ${problem}`);
  if (bytes.length === 0) return invalid("is empty. Put the credential into it.");
  if (bytes.length > MAX_SECRET_VALUE_BYTES) {
    return invalid(`holds ${bytes.length} bytes; at most ${MAX_SECRET_VALUE_BYTES} are allowed.`);
  }
  try {
    return strictUtf8.decode(bytes);
  } catch {
    // The decoder's error adds nothing to this sentence.
    return invalid("is not UTF-8 text. Encode a binary credential, for example as base64.");
  }
}
