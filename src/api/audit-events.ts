import { z } from "zod";
import { listAuditEvents, type ListedAuditEvent } from "../vault/list-audit-events.ts";
import { instant, nextCursor } from "./answer-schemas.ts";
import { cursor, cursorOf } from "./cursor.ts";
import { connectionId, noBody, noPath, wholeNumber } from "./request-schemas.ts";
import { defineRoute } from "./route.ts";

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1_000;

const date = z.iso
  .datetime({ offset: true, error: "must be an instant such as 2026-11-24T07:00:00Z" })
  .transform((text) => new Date(text));

const query = z.strictObject({
  from: date.optional().describe("Events from this instant on."),
  to: date.optional().describe("Events before this instant."),
  actor: z.string().min(1).max(320).optional(),
  action: z
    .string()
    .regex(/^[a-z-]{1,64}\.[a-z-]{1,64}$/, "must be an action such as connection.created")
    .optional(),
  connectionId: connectionId.optional(),
  targetId: z.uuid("must be the id of what was acted on, a UUID").optional(),
  limit: wholeNumber(1, MAX_LIMIT).default(DEFAULT_LIMIT),
  cursor: cursor(z.tuple([z.string().regex(/^\d{1,18}$/)])).optional(),
});

const event = z.strictObject({
  id: z.string(),
  time: instant,
  actor_kind: z.enum(["resource", "key", "service-account", "system"]),
  actor: z
    .string()
    .describe(
      "uid of the resource, fingerprint of the key, namespace/name of the ServiceAccount, or part of Keystead.",
    ),
  field_manager: z.string().nullable(),
  address: z.string().nullable(),
  action: z.string(),
  target_kind: z.string(),
  target_id: z.string(),
  target_revision: z.int().nullable(),
  deletion_id: z.string().nullable(),
  fields: z.array(z.string()).describe("Names of what changed."),
  occurrences: z.int().describe("Equal reads of one moment share an event."),
});

/** Who did what, newest first. */
export const auditEventsRoute = defineRoute({
  method: "GET",
  paths: ["/audit-events"],
  summary: "Who read and changed what, newest first",
  scopes: ["audit_events:read"],
  path: noPath,
  query,
  body: noBody,
  status: 200,
  answer: z.strictObject({ events: z.array(event), next_cursor: nextCursor }),
  async handle({ query: { limit, cursor: place, ...filters } }, caller, { vault }) {
    const { events, next } = await listAuditEvents(vault, caller, { ...filters, after: place?.[0], limit });
    return JSON.stringify({
      events: events.map(eventAnswer),
      ...(next !== undefined && { next_cursor: cursorOf([next]) }),
    });
  },
});

function eventAnswer(listed: ListedAuditEvent): z.output<typeof event> {
  return {
    id: listed.id,
    time: listed.occurredAt.toISOString(),
    actor_kind: listed.actorKind,
    actor: listed.actor,
    field_manager: listed.fieldManager,
    address: listed.address,
    action: listed.action,
    target_kind: listed.targetKind,
    target_id: listed.targetId,
    target_revision: listed.targetRevision,
    deletion_id: listed.deletionId,
    fields: [...listed.fields],
    occurrences: listed.occurrences,
  };
}
