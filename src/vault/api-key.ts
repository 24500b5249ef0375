import { isDeepStrictEqual } from "node:util";
import type { Deadline } from "./rotation-schedule.ts";

/** A further key of an environment, as its resource declares it. */
export interface DesiredApiKey {
  /** Any but `MAIN_SECRET_KEY`. */
  readonly name: string;
  readonly scopes: readonly string[];
  /** Tags that a connection must have to exist for the key; absent: every connection does. */
  readonly connectionSelector: Readonly<Record<string, string>> | undefined;
  /** How long a key works after it was made; absent: until it is rotated or removed. */
  readonly expiresAfterSeconds: number | undefined;
}

/** A desired key with the value of its rotation annotation: the one present at creation counts as handled. */
export type DesiredApiKeyWithToken = DesiredApiKey & { readonly rotationToken: string | undefined };

/** What is stored of a named key, without the key. */
export interface ApiKeyState extends DesiredApiKey {
  readonly lastHandledRotation: string | undefined;
  /** Undefined: it has expired and was removed. Only a rotation makes it anew. */
  readonly fingerprint: string | undefined;
  readonly end: Deadline | undefined;
}

/** Names of the limits that differ; they go into the audit event. Pure. */
export function changedLimits(stored: DesiredApiKey, desired: DesiredApiKey): string[] {
  return LIMITS.filter((limit) => !isDeepStrictEqual(stored[limit], desired[limit]));
}

const LIMITS = ["scopes", "connectionSelector", "expiresAfterSeconds"] as const;

/** Whether what is stored says all that is declared, so that nothing needs to be written. Pure. */
export function sameApiKeys(stored: readonly DesiredApiKey[], desired: readonly DesiredApiKey[]): boolean {
  const byName = new Map(stored.map((key) => [key.name, key]));
  return (
    stored.length === desired.length &&
    desired.every((key) => {
      const known = byName.get(key.name);
      return known !== undefined && changedLimits(known, key).length === 0;
    })
  );
}
