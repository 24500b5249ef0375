import type { KubeClient } from "./client.ts";
import type { JsonPatchStep, WriteOptions } from "./json-patch.ts";
import { lookAgain, sendJsonPatch } from "./json-patch.ts";
import type { KubeObject } from "./object.ts";
import type { ResourceKind } from "./resource-path.ts";

/** `gone`: no longer there, replaced by another object of that name, or already being deleted, which admits no new finalizer. */
export type AddOutcome = "added" | "present" | "gone";
/** `absent`: the object is there without it. `gone`: there is no such object any more, so nothing is held up either. */
export type RemoveOutcome = "removed" | "absent" | "gone";

/** Others change the list of finalizers rarely: whoever loses so often meets a bug, and the work queue backs off. */
const MAX_LOOKS = 5;

/**
 * Puts a finalizer on the object. The patch tests that the list is the one it was made for, so of two at once neither doubles
 * the entry nor drops the other's. Starts from `object` as it is known, without a read.
 */
export async function addFinalizer(
  client: KubeClient,
  kind: ResourceKind,
  object: Pick<KubeObject, "metadata">,
  finalizer: string,
  options: WriteOptions = {},
): Promise<AddOutcome> {
  const patched = await change<"present" | "gone">(client, kind, object, options, ({ metadata }) => {
    const known = metadata.finalizers ?? [];
    if (known.includes(finalizer)) return "present";
    if (metadata.deletionTimestamp !== undefined) return "gone";
    if (known.length === 0) {
      // A test for null passes where the member is missing; `add` on the list itself would replace one that appeared since.
      return [
        { op: "test", path: LIST, value: null },
        { op: "add", path: LIST, value: [finalizer] },
      ];
    }
    return [
      { op: "test", path: LIST, value: known },
      { op: "add", path: `${LIST}/-`, value: finalizer },
    ];
  });
  return patched === "patched" ? "added" : patched;
}

/** Takes a finalizer off, wherever in the list it stands now. That the object is gone already is as good. */
export async function removeFinalizer(
  client: KubeClient,
  kind: ResourceKind,
  object: Pick<KubeObject, "metadata">,
  finalizer: string,
  options: WriteOptions = {},
): Promise<RemoveOutcome> {
  const patched = await change<"absent">(client, kind, object, options, ({ metadata }) => {
    const index = metadata.finalizers?.indexOf(finalizer) ?? -1;
    if (index === -1) return "absent";
    const path = `${LIST}/${index}`;
    return [
      { op: "test", path, value: finalizer },
      { op: "remove", path },
    ];
  });
  return patched === "patched" ? "removed" : patched;
}

const LIST = "/metadata/finalizers";

/**
 * Sends what `plan` makes of the object; when the object turns out to have changed, plans again with what it is now. An object
 * whose list of finalizers is as expected was refused for another reason (a schema, an admission policy): that error is thrown.
 */
async function change<Answer extends string>(
  client: KubeClient,
  kind: ResourceKind,
  object: Pick<KubeObject, "metadata">,
  options: WriteOptions,
  plan: (object: Pick<KubeObject, "metadata">) => readonly JsonPatchStep[] | Answer,
): Promise<Answer | "patched" | "gone"> {
  let known = object;
  for (let looks = 0; ; looks += 1) {
    const steps = plan(known);
    if (typeof steps === "string") return steps;
    try {
      await sendJsonPatch(client, kind, object, steps, options);
      return "patched";
    } catch (thrown) {
      const refusal = await lookAgain(client, kind, object, thrown, options);
      if (refusal.kind === "gone") return "gone";
      if (looks >= MAX_LOOKS || !hasMoved(known, refusal.now)) throw thrown;
      known = refusal.now;
    }
  }
}

function hasMoved(known: Pick<KubeObject, "metadata">, now: KubeObject): boolean {
  if (known.metadata.deletionTimestamp !== now.metadata.deletionTimestamp) return true;
  return known.metadata.finalizers?.join(",") !== now.metadata.finalizers?.join(",");
}
