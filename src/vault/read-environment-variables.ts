import { statement } from "../db/statement.ts";
import type { Vault } from "./context.ts";
import { accountOf, admits, callingActorOf, forbidden, type Forbidden, opens, permits } from "./permission.ts";
import { variablesOf, type EnvironmentVariable } from "./environment.ts";

/** Who asks. */
export interface ReadEnvironmentVariablesOptions {
  /** SHA-256 of the token. */
  readonly keyDigest: Buffer;
  /** Address of the caller. */
  readonly address?: string | undefined;
}

/** There is nothing between "wrong key" and "here they are": an environment always has a list. */
export type ReadEnvironmentVariablesResult =
  | { readonly kind: "unknown_key" }
  | Forbidden
  | { readonly kind: "found"; readonly variables: readonly EnvironmentVariable[] };

const READ_VARIABLES = statement(
  "read_variables",
  `select e.environment_id, ${permits("k", "variables:read")} as permitted, e.variables_sealed, e.variables_revision,
          e.revision, ${accountOf("k", "e")} as account
     from keystead.key_digests k
     join keystead.environments e on e.environment_id = k.environment_id and e.deleted_at is null and ${admits("e", "$2")}
    where ${opens("k", "$1")}`,
);

interface VariablesRow {
  readonly environment_id: string;
  readonly permitted: boolean;
  readonly variables_sealed: Buffer;
  readonly variables_revision: number;
  readonly revision: number;
  readonly account: string | null;
}

/** The variables of the key's environment, in the order declared; recorded before it resolves, as `readConnection` is. */
export async function readEnvironmentVariables(
  vault: Vault,
  options: ReadEnvironmentVariablesOptions,
): Promise<ReadEnvironmentVariablesResult> {
  const [row] = await vault.database.read<VariablesRow>(READ_VARIABLES, [options.keyDigest, options.address ?? null]);
  if (!row) return { kind: "unknown_key" };
  if (!row.permitted) return forbidden("variables:read");
  const text = await vault.environmentKeys.open(row.variables_sealed, {
    label: "environment.variables",
    environmentId: row.environment_id,
    rowId: row.environment_id,
    revision: row.variables_revision,
  });
  await vault.auditReads({
    environmentId: row.environment_id,
    actor: callingActorOf(row.account, options),
    action: "environment.variables-read",
    targetId: row.environment_id,
    targetRevision: row.revision,
  });
  return { kind: "found", variables: variablesOf(text) };
}
