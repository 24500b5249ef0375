import type { KeyObject } from "node:crypto";
import { digestOf } from "../crypto/digest.ts";
import { Secret } from "../crypto/secret.ts";
import type { ApiKeyState } from "./api-key.ts";
import type { EnvironmentKeys } from "./environment-keys.ts";
import type { Deadline } from "./rotation-schedule.ts";
import type { AllowedServiceAccount } from "./service-account.ts";
import { sameSources, type Owner, type SecretSource } from "./owner.ts";

/** A variable the environment's applications can ask for. */
export interface EnvironmentVariable {
  readonly name: string;
  readonly value: Secret;
}

/** What an Environment resource wants to be stored. */
export interface DesiredEnvironment {
  readonly owner: Owner;
  /** How long soft-deleted things can be restored. */
  readonly retentionSeconds: number;
  /** `"unchanged"`: the Secrets were not read, because their versions are those stored with the row. */
  readonly variables: readonly EnvironmentVariable[] | "unchanged";
  /** What the resource says about its variables and everything else that is stored, without secret values. */
  readonly declaration: unknown;
  readonly sources: readonly SecretSource[];
  /** How long a secret key is used before it is rotated by itself; absent: it never is. */
  readonly rotationSeconds?: number | undefined;
  /** Requests with its keys, all of them together; absent or 0: as many as come. */
  readonly requestsPerMinute?: number | undefined;
  /** From where its keys may be used; absent: from everywhere. */
  readonly allowedCidrs?: readonly string[] | undefined;
  /** Value of the rotation annotation. The one present at creation counts as handled; later ones are kept for the rotation. */
  readonly rotationToken?: string | undefined;
  /** The same of the annotation for the data key. */
  readonly dataKeyRotationToken?: string | undefined;
  readonly expectedRevision?: number;
}

/** A desired environment whose secret values are all there. */
export type CompleteEnvironment = DesiredEnvironment & { readonly variables: readonly EnvironmentVariable[] };

/** Digests of a desired environment, part by part. */
export interface EnvironmentDigests {
  readonly declaration: string;
  /** Undefined: they were not read, and are taken for those that are stored. */
  readonly variables: string | undefined;
}

/** A secret key that was replaced and still opens its environment. */
export interface ReplacedKey {
  /** Of the key that replaced it: `MAIN_SECRET_KEY`, or that of a named one. */
  readonly name: string;
  readonly fingerprint: string;
  readonly end: Deadline;
  /** Whether its grace period waits for the Secret to be written: until then its end is the latest possible one. */
  readonly isPending: boolean;
}

/** What the database knows about the environment of a resource, without any secret. */
export interface EnvironmentState {
  /** `status.environmentId`. */
  readonly id: string;
  readonly revision: number;
  readonly publicKey: string;
  readonly retentionSeconds: number;
  readonly secretKeyFingerprint: string;
  readonly secretKeyIssuedAt: Date;
  readonly lastHandledRotation: string | undefined;
  readonly lastHandledDataKeyRotation: string | undefined;
  /** When the key is rotated by itself, if it is. */
  readonly nextRotation: Deadline | undefined;
  /** Keys that were replaced, of any name, while their grace period lasts or has just ended: one of each name at most. */
  readonly replacedKeys: readonly ReplacedKey[];
  /** The named keys, by name. */
  readonly apiKeys: readonly ApiKeyState[];
  /** Those whose tokens are taken, by name. */
  readonly serviceAccounts: readonly AllowedServiceAccount[];
  readonly digests: { readonly declaration: string; readonly variables: string };
  readonly sources: readonly SecretSource[];
  /** `spec.restoreFrom` of the resource, if it was done. */
  readonly handledRestore: string | undefined;
}

/** An environment after it was stored, with the key its Secret has to hold. */
export interface StoredEnvironment extends EnvironmentState {
  readonly secretKey: Secret;
  readonly changed: boolean;
}

/** Digests under the environment's key. Rejects with `environment_gone`, `json_not_canonical` or a `database_*` error. */
export async function environmentDigestsOf(
  vault: { readonly environmentKeys: EnvironmentKeys },
  environmentId: string,
  desired: Pick<DesiredEnvironment, "variables" | DeclaredPart>,
): Promise<EnvironmentDigests> {
  const { digestKey } = await vault.environmentKeys.of(environmentId);
  return {
    declaration: declarationDigest(digestKey, desired),
    variables: desired.variables === "unchanged" ? undefined : variablesDigest(digestKey, desired.variables),
  };
}

/** Digests of an environment that is about to be made: its key is at hand, and all its variables are. Pure. */
export function firstEnvironmentDigests(
  digestKey: KeyObject,
  desired: CompleteEnvironment,
): EnvironmentState["digests"] {
  return {
    declaration: declarationDigest(digestKey, desired),
    variables: variablesDigest(digestKey, desired.variables),
  };
}

/** What is stored beside the variables. */
type DeclaredPart = "declaration" | "retentionSeconds" | "rotationSeconds" | "requestsPerMinute" | "allowedCidrs";

function declarationDigest(digestKey: KeyObject, desired: Pick<DesiredEnvironment, DeclaredPart>): string {
  const { declaration, retentionSeconds, rotationSeconds, requestsPerMinute, allowedCidrs } = desired;
  const declared = { declaration, retentionSeconds, rotationSeconds, requestsPerMinute, allowedCidrs };
  return digestOf(digestKey, "environment.declaration", declared);
}

function variablesDigest(digestKey: KeyObject, variables: readonly EnvironmentVariable[]): string {
  return digestOf(digestKey, "environment.variables", plainVariables(variables));
}

/** Whether the row already says all that the resource wants, so that nothing needs to be written. Pure. */
export function isSettledEnvironment(
  state: EnvironmentState,
  digests: EnvironmentDigests,
  sources: readonly SecretSource[],
): boolean {
  return changedEnvironmentParts(state.digests, digests).length === 0 && sameSources(state.sources, sources);
}

/** Names of the parts that differ; they go into the audit event. Pure. */
export function changedEnvironmentParts(stored: EnvironmentDigests, desired: EnvironmentDigests): EnvironmentPart[] {
  return ENVIRONMENT_PARTS.filter((part) => desired[part] !== undefined && desired[part] !== stored[part]);
}

const ENVIRONMENT_PARTS = ["declaration", "variables"] as const;
/** One of them. */
export type EnvironmentPart = (typeof ENVIRONMENT_PARTS)[number];

/** Name and value of each variable, in the order declared: the form that is digested, sealed and served. */
export function plainVariables(variables: readonly EnvironmentVariable[]): { name: string; value: string }[] {
  return variables.map(({ name, value }) => ({ name, value: value.reveal() }));
}

/** The inverse, from the JSON text that was sealed: its shape is ours, so it is not checked again. */
export function variablesOf(text: string): EnvironmentVariable[] {
  const plain: { name: string; value: string }[] = JSON.parse(text);
  return plain.map(({ name, value }) => ({ name, value: new Secret(value) }));
}
