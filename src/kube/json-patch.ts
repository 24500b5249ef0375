import type { KeysteadError } from "../errors.ts";
import { asKeysteadError } from "../errors.ts";
import type { CallPriority } from "./call-slots.ts";
import type { KubeClient } from "./client.ts";
import type { KubeObject, ObjectMeta } from "./object.ts";
import type { ResourceKind } from "./resource-path.ts";
import { resourcePath } from "./resource-path.ts";

/** A step of a JSON patch (RFC 6902). */
export type JsonPatchStep =
  | { readonly op: "add" | "test"; readonly path: string; readonly value: unknown }
  | { readonly op: "remove"; readonly path: string };

/** The object a write means: one with that name and another uid is another object. */
export interface WriteTarget {
  readonly metadata: Pick<ObjectMeta, "name" | "namespace" | "uid">;
}

/** How much a write matters, and what ends it early. */
export interface WriteOptions {
  readonly signal?: AbortSignal | undefined;
  readonly priority?: CallPriority | undefined;
}

interface JsonPatchOptions extends WriteOptions {
  readonly subresource?: "status";
}

/** JSON pointer (RFC 6901) to a member. */
export function pointerTo(...members: readonly string[]): string {
  return members.map((member) => `/${member.replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
}

/** What an error of a write was about. `moved` comes with the object as it is now. */
export type Refusal = { readonly kind: "gone" } | { readonly kind: "moved"; readonly now: KubeObject };

/**
 * Applies steps to one object, if it is still the one with that uid. The patch may be sent twice when an answer is lost:
 * whoever passes steps that cannot be repeated adds a test among them.
 *
 * A failed test and a schema that refuses the result both come as 422, so the caller tells them apart by looking again.
 */
export async function sendJsonPatch(
  client: KubeClient,
  kind: ResourceKind,
  target: WriteTarget,
  steps: readonly JsonPatchStep[],
  options: JsonPatchOptions,
): Promise<void> {
  const { uid, name, namespace } = target.metadata;
  await client.request({
    method: "PATCH",
    path: resourcePath(kind, { namespace, name, subresource: options.subresource }),
    contentType: "application/json-patch+json",
    body: [{ op: "test", path: "/metadata/uid", value: uid }, ...steps],
    idempotent: true,
    discardAnswer: true,
    signal: options.signal,
    priority: options.priority,
  });
}

/**
 * Looks at the object after a patch of it was refused. Throws the error itself when it does not say that the object is gone
 * or may have changed (404, 409, 422).
 */
export async function lookAgain(
  client: KubeClient,
  kind: ResourceKind,
  target: WriteTarget,
  thrown: unknown,
  options: WriteOptions,
): Promise<Refusal> {
  const error: KeysteadError = asKeysteadError(thrown);
  if (error.code === "kube_not_found") return { kind: "gone" };
  if (error.code !== "kube_invalid" && error.code !== "kube_conflict") throw error;
  const { name, namespace, uid } = target.metadata;
  const path = resourcePath(kind, { namespace, name });
  try {
    const now = await client.request<KubeObject>({ method: "GET", path, ...options });
    return now.metadata.uid === uid ? { kind: "moved", now } : { kind: "gone" };
  } catch (again) {
    if (asKeysteadError(again).code === "kube_not_found") return { kind: "gone" };
    throw again;
  }
}
