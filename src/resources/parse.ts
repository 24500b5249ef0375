import { z } from "zod";
import { fieldManagerOf } from "./field-manager.ts";

/** What the controller uses of an object's metadata. Everything else, `managedFields` above all but for one name, is not kept in memory. */
const resourceMetadata = z
  .object({
    name: z.string().catch(""),
    namespace: z.string().catch(""),
    uid: z.string().catch(""),
    resourceVersion: z.string().catch(""),
    generation: z.int().catch(0),
    deletionTimestamp: z.string().optional().catch(undefined),
    finalizers: z.array(z.string()).catch([]),
    labels: z.record(z.string(), z.string()).catch({}),
    // Only our own: the copy of the manifest that kubectl keeps in an annotation would double the size of each object.
    annotations: z.record(z.string(), z.string()).catch({}).transform(ownAnnotations),
    managedFields: z.unknown().optional(),
  })
  .transform(({ managedFields, ...metadata }) => {
    const fieldManager = fieldManagerOf(managedFields);
    return fieldManager === undefined ? metadata : { ...metadata, fieldManager };
  });

export type ResourceMetadata = Readonly<z.output<typeof resourceMetadata>> & { readonly fieldManager?: string };

/** Our annotations are requests (`keystead.dev/rotate-secret-key`), so their values are kept, whatever they are. */
function ownAnnotations(all: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(all).filter(([key]) => key.startsWith("keystead.dev/")));
}

/** A resource with a valid spec. */
export interface Resource<Kind extends string, Spec, Status> {
  readonly kind: Kind;
  readonly metadata: ResourceMetadata;
  readonly spec: Spec;
  readonly status: Status;
  /**
   * `spec.deletionPolicy` where it is not SoftDelete. Read apart from the rest of the spec, because it counts on an object of
   * an invalid shape as well: that can still be deleted.
   */
  readonly deletionPolicy?: DeletionPolicy;
}

/** What may become of a row beside being soft-deleted. */
export type DeletionPolicy = "Purge" | "Orphan";

/**
 * What became of a stored object. One of an invalid shape still has what is needed to mark it `Stalled` and to let it
 * go when it is deleted; `message` names each field at fault and says what is allowed, without repeating a value.
 */
export type Parsed<R extends Resource<string, unknown, unknown>> =
  | { readonly ok: true; readonly value: R }
  | { readonly ok: false; readonly message: string; readonly value: Omit<R, "spec"> };

/** Whatever is wrong outside of `spec` is repaired silently: the API server guarantees it, and nothing could be told to anybody. */
const envelope = z.object({
  metadata: resourceMetadata.catch(resourceMetadata.parse({})),
  spec: z.unknown().optional(),
  status: z.unknown().optional(),
});

/** A parser for one kind. It never throws: whatever a cluster may have stored, the other objects go on. */
export function resourceParser<Kind extends string, Spec, Status extends { observedGeneration: number }>(
  kind: Kind,
  specSchema: z.ZodType<Spec>,
  statusSchema: z.ZodType<Status>,
): (object: unknown) => Parsed<Resource<Kind, Spec, Status>> {
  return (object) => {
    const { metadata, spec, status } = envelope.catch(envelope.parse({})).parse(object);
    const deletionPolicy = policyOf(spec);
    const value = {
      kind,
      metadata,
      status: parseStatus(statusSchema, status),
      ...(deletionPolicy && { deletionPolicy }),
    };
    const parsed = specSchema.safeParse(spec ?? {}, { reportInput: true });
    if (parsed.success) return { ok: true, value: { ...value, spec: parsed.data } };
    return { ok: false, message: explain(parsed.error), value };
  };
}

/** Anything else, be it misspelt, means what can be undone. */
const deletionPolicySpec = z.object({ deletionPolicy: z.enum(["Purge", "Orphan"]) });

function policyOf(spec: unknown): DeletionPolicy | undefined {
  return deletionPolicySpec.safeParse(spec).data?.deletionPolicy;
}

/** A status that somebody else bent out of shape counts as empty: the next pass writes a right one. */
function parseStatus<Status>(schema: z.ZodType<Status>, status: unknown): Status {
  const parsed = schema.safeParse(status ?? {});
  return parsed.success ? parsed.data : schema.parse({});
}

/** Fields named in one message; the rest shows once these are mended. */
const MAX_ISSUES = 5;

/** One line for a condition, in the order of the fields in the schema, so that the same object always gives the same text. */
function explain(error: z.ZodError): string {
  const lines = error.issues.slice(0, MAX_ISSUES).map((issue) => `${path(issue.path)} ${complaint(issue)}`);
  const more = error.issues.length - lines.length;
  return more > 0 ? `${lines.join("; ")}; and ${more} more.` : `${lines.join("; ")}.`;
}

/** As kubectl prints it: `spec.variables[0].name`. A map key that came with the object is cut. */
function path(segments: readonly PropertyKey[]): string {
  return segments.reduce<string>(
    (text, segment) =>
      typeof segment === "number" ? `${text}[${segment}]` : `${text}.${String(segment).slice(0, 64)}`,
    "spec",
  );
}

function complaint(issue: z.core.$ZodIssue): string {
  if (issue.code === "invalid_type")
    return issue.input === undefined ? "is required" : `must be ${typeName(issue.expected)}`;
  if (issue.code === "invalid_value") return `must be one of ${issue.values.map(String).join(", ")}`;
  if (issue.code === "too_big") return `must have at most ${issue.maximum} ${counted(issue.origin)}`;
  if (issue.code === "too_small") return `must have at least ${issue.minimum} ${counted(issue.origin)}`;
  // Everything else comes from a rule of ours, whose message is written to follow the path.
  return issue.message;
}

function counted(origin: string): string {
  return origin === "string" ? "characters" : "entries";
}

function typeName(type: string): string {
  if (type === "record" || type === "object") return "an object";
  return type === "array" ? "a list" : `a ${type}`;
}
