import type { KubeClient } from "./client.ts";
import { jsonEqual } from "./json-equal.ts";
import type { JsonPatchStep, WriteOptions, WriteTarget } from "./json-patch.ts";
import { lookAgain, pointerTo, sendJsonPatch } from "./json-patch.ts";
import type { ResourceKind } from "./resource-path.ts";

/**
 * `unchanged`: there was nothing to write, and no call was made. `gone`: the object no longer exists, or was replaced by one
 * of the same name, which must not inherit the status of its predecessor.
 */
export type StatusOutcome = "patched" | "unchanged" | "gone";

/**
 * Writes the fields of the status that differ, and nothing when none does: a patch that changes nothing costs the API server
 * as much as one that does. Of two writers at once the later wins field by field; only the leader writes.
 *
 * A JSON patch and no merge-patch, because the API server ignores a uid in the metadata of a merge-patch of `/status`.
 */
export async function patchStatus(
  client: KubeClient,
  kind: ResourceKind,
  target: WriteTarget,
  before: object | undefined,
  after: object,
  options: WriteOptions = {},
): Promise<StatusOutcome> {
  const steps = statusSteps(before, after);
  if (steps.length === 0) return "unchanged";
  try {
    await sendJsonPatch(client, kind, target, steps, { ...options, subresource: "status" });
    return "patched";
  } catch (thrown) {
    const refusal = await lookAgain(client, kind, target, thrown, options);
    if (refusal.kind === "gone") return "gone";
    throw thrown;
  }
}

/** Top-level fields: lists of conditions are written whole anyway. */
export function statusSteps(before: object | undefined, after: object): JsonPatchStep[] {
  if (before === undefined) return [{ op: "add", path: "/status", value: after }];
  const known = new Map<string, unknown>(Object.entries(before).filter(([, value]) => value !== undefined));
  const steps: JsonPatchStep[] = [];
  for (const [field, value] of Object.entries(after)) {
    if (value === undefined) continue;
    // `add` on a member that exists replaces it (RFC 6902 section 4.1).
    if (!known.has(field) || !jsonEqual(known.get(field), value)) {
      steps.push({ op: "add", path: pointerTo("status", field), value });
    }
    known.delete(field);
  }
  for (const field of known.keys()) steps.push({ op: "remove", path: pointerTo("status", field) });
  return steps;
}
