import type { JsonObject } from "../crypto/canonical-json.ts";
import { statement } from "../db/statement.ts";
import type { Vault } from "./context.ts";
import { admits, forbidden, type Forbidden, opens, permits } from "./permission.ts";

/** Everything about an integration but its client. */
export interface IntegrationSummary {
  /** Row id, a UUID. */
  readonly id: string;
  readonly environmentId: string;
  readonly uniqueKey: string;
  readonly provider: string;
  readonly displayName: string;
  /** What the resource says that is no secret: `auth`, `scopes`. */
  readonly settings: JsonObject;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

/** As for connections. */
export type ListIntegrationsResult =
  | { readonly kind: "unknown_key" }
  | Forbidden
  | { readonly kind: "found"; readonly integrations: readonly IntegrationSummary[] };

/** Columns of an integration, as every read of integrations selects them. */
export interface IntegrationSummaryRow {
  readonly environment_id: string;
  readonly integration_id: string;
  readonly unique_key: string;
  readonly provider: string;
  readonly display_name: string;
  readonly settings: JsonObject;
  readonly created_at: Date;
  readonly updated_at: Date;
}

/** One row without an integration says that the key is good and there are none. Reads along `integrations_unique_key`. */
const LIST_INTEGRATIONS = statement(
  "list_integrations",
  `select e.environment_id, ${permits("k", "integrations:list")} as permitted, n.integration_id, n.unique_key, n.provider, n.display_name, n.settings,
          n.created_at, n.updated_at
     from keystead.key_digests k
     join keystead.environments e on e.environment_id = k.environment_id and e.deleted_at is null and ${admits("e", "$2")}
     left join keystead.integrations n
       on n.environment_id = e.environment_id and n.deleted_at is null and ${permits("k", "integrations:list")}
    where ${opens("k", "$1")}
    order by n.unique_key`,
);

type ListedRow = { readonly permitted: boolean } & (IntegrationSummaryRow | { readonly integration_id: null });

/** Integrations of the key's environment by name, without anything secret. Rejects with a `database_*` error. */
export async function listIntegrations(
  vault: Vault,
  { keyDigest, address }: { readonly keyDigest: Buffer; readonly address?: string | undefined },
): Promise<ListIntegrationsResult> {
  const rows = await vault.database.query<ListedRow>(LIST_INTEGRATIONS.text, [keyDigest, address ?? null]);
  const [first] = rows;
  if (!first) return { kind: "unknown_key" };
  if (!first.permitted) return forbidden("integrations:list");
  const integrations = rows.flatMap((row) => (row.integration_id === null ? [] : [integrationSummary(row)]));
  return { kind: "found", integrations };
}

/** Pure. */
export function integrationSummary(row: IntegrationSummaryRow): IntegrationSummary {
  return {
    id: row.integration_id,
    environmentId: row.environment_id,
    uniqueKey: row.unique_key,
    provider: row.provider,
    displayName: row.display_name,
    settings: row.settings,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}
