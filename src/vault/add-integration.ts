import type { JsonObject } from "../crypto/canonical-json.ts";
import { uuidv7 } from "../crypto/uuid.ts";
import { KeysteadError } from "../errors.ts";
import type { KeyHolder } from "./admit-key.ts";
import { recordAuditEvent } from "./audit.ts";
import type { Vault } from "./context.ts";
import { checkClient } from "./integration-client.ts";
import { integrationSummary, type IntegrationSummary, type IntegrationSummaryRow } from "./list-integrations.ts";
import { sealingTransaction } from "./sealing-transaction.ts";

/** An integration that no resource is to manage. */
export interface IntegrationToAdd {
  readonly uniqueKey: string;
  readonly provider: string;
  /** How the provider authenticates (`mode`, in Nango's names) and where. */
  readonly auth: { readonly mode: string };
  /** Where the proxy calls, and where the credential goes. */
  readonly proxy?: JsonObject | undefined;
  /** As for the integration of a resource: where credentials may be sent. */
  readonly acceptedOrigins: readonly string[];
  readonly displayName?: string | undefined;
  /** The OAuth client or app in Nango's shape. */
  readonly client?: JsonObject | undefined;
}

/**
 * Adds an integration. One transaction with its audit event; of two of one name at once one is added. Rejects with
 * `unique_key_taken`, `credentials_mismatch`, and as `sealingTransaction` does.
 */
export async function addIntegration(
  vault: Vault,
  holder: KeyHolder,
  { uniqueKey, provider, auth, proxy, acceptedOrigins, displayName = uniqueKey, client }: IntegrationToAdd,
): Promise<IntegrationSummary> {
  checkClient(auth.mode, client);
  return sealingTransaction(vault, holder, 1, async (transaction, { environmentId, actor }, seal) => {
    const id = uuidv7();
    const sealed = client ? seal({ rowId: id, revision: 1, label: "integration.client" }, client) : null;
    const [row] = await transaction.query<IntegrationSummaryRow>(INSERT, [
      environmentId,
      id,
      uniqueKey,
      provider,
      displayName,
      JSON.stringify({ auth, scopes: scopesOf(client), proxy }),
      sealed,
      acceptedOrigins.length > 0 ? JSON.stringify(acceptedOrigins) : null,
    ]);
    if (!row) {
      throw new KeysteadError("unique_key_taken", `The environment has an integration ${JSON.stringify(uniqueKey)}.`);
    }
    await recordAuditEvent(transaction, {
      environmentId,
      actor,
      action: "integration.created",
      targetId: id,
      targetRevision: 1,
    });
    return integrationSummary(row);
  });
}

/** Digests are of what a resource declares, and none declares this. */
const INSERT = `insert into keystead.integrations (
    environment_id, integration_id, unique_key, provider, display_name, settings, client_sealed, client_revision,
    declaration_digest, rest_digest, sources, accepted_origins
  )
  values ($1, $2, $3, $4, $5, $6, $7::bytea, case when $7::bytea is not null then 1 end, '', '', '[]', $8::jsonb)
  on conflict do nothing
  returning environment_id, integration_id, unique_key, provider, display_name, settings, created_at, updated_at`;

/** The list of the comma-separated text that the contract has. Pure. */
export function scopesOf(client: JsonObject | undefined): string[] {
  const scopes = client?.["scopes"];
  return typeof scopes === "string" && scopes !== "" ? scopes.split(",") : [];
}
