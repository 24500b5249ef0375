import { z } from "zod";

/** What the API server keeps of each manager: https://kubernetes.io/docs/reference/using-api/server-side-apply/#managers. */
const managedFields = z.array(
  z.object({
    manager: z.string().catch(""),
    time: z.string().catch(""),
    subresource: z.string().optional().catch(undefined),
    fieldsV1: z
      .object({
        "f:spec": z.unknown().optional(),
        "f:metadata": z
          .object({ "f:annotations": z.record(z.string(), z.unknown()).catch({}) })
          .catch({ "f:annotations": {} }),
      })
      .catch({ "f:spec": undefined, "f:metadata": { "f:annotations": {} } }),
  }),
);

/** The API server takes no longer ones. */
const LONGEST_NAME = 128;

/**
 * Who last changed what a resource declares, its spec or an annotation of ours, by `metadata.managedFields`; undefined when
 * that is not to be learned. Writers of the status, and of finalizers alone, are nobody here. Pure.
 */
export function fieldManagerOf(value: unknown): string | undefined {
  const parsed = managedFields.safeParse(value);
  if (!parsed.success) return undefined;
  const declaring = parsed.data.filter(
    ({ subresource, fieldsV1 }) =>
      subresource === undefined &&
      (fieldsV1["f:spec"] !== undefined || Object.keys(fieldsV1["f:metadata"]["f:annotations"]).some(isOurs)),
  );
  // Times have whole seconds and one form, so that texts compare as instants do.
  const last = declaring.toSorted((a, b) => (a.time < b.time ? -1 : 1)).at(-1);
  return last?.manager.slice(0, LONGEST_NAME) || undefined;
}

function isOurs(field: string): boolean {
  return field.startsWith("f:keystead.dev/");
}
