import { recordAuditEvent } from "./audit.ts";
import { createConnectionReader } from "./connection-reader.ts";
import type { Vault } from "./context.ts";

/** It is about no environment more than another. */
const NO_ENVIRONMENT = "00000000-0000-0000-0000-000000000000";

/**
 * The same vault, whose reads of secrets leave no audit events from here on: an event of the process `holder` says so, and is
 * committed before. Rejects with a `database_*` error, and then reads are to be recorded as ever.
 */
export async function stopAuditingReads(vault: Vault, holder: string): Promise<Vault> {
  await recordAuditEvent(vault.database, {
    environmentId: NO_ENVIRONMENT,
    actor: { kind: "system", name: holder },
    action: "audit.reads-off",
    targetId: NO_ENVIRONMENT,
    targetRevision: 1,
  });
  return {
    ...vault,
    readConnectionRow: createConnectionReader(vault.database, { recorded: false }),
    auditReads: () => Promise.resolve(true as const),
  };
}
