import type { Queryable } from "../db/session-pool.ts";
import { recordAuditEvent } from "./audit.ts";

/** The operator's keys belong to no environment. */
const NO_ENVIRONMENT = "00000000-0000-0000-0000-000000000000";

/** Records what became of one of the operator's keys, in the transaction that does it. Its id stands among the fields. */
export function recordKeyEvent(
  transaction: Queryable,
  action: "encryption-key.introduced" | "encryption-key.retired",
  keyId: string,
): Promise<void> {
  return recordAuditEvent(transaction, {
    environmentId: NO_ENVIRONMENT,
    actor: { kind: "system", name: action === "encryption-key.retired" ? "keystead keys retire" : "encryption-keys" },
    action,
    targetId: NO_ENVIRONMENT,
    targetRevision: 1,
    fields: [keyId],
  });
}
