import type { Queryable } from "../db/session-pool.ts";
import { KeysteadError } from "../errors.ts";
import { recordAuditEvent, type AuditAction } from "./audit.ts";
import type { ReigningVault } from "./context.ts";
import type { Owner } from "./owner.ts";
import type { AllowedServiceAccount } from "./service-account.ts";

/** All ServiceAccounts whose tokens an environment is to take. */
export interface ServiceAccountsOptions {
  readonly environmentId: string;
  readonly owner: Owner;
  readonly accounts: readonly AllowedServiceAccount[];
}

interface ChangedRow {
  readonly name: string;
  readonly uid: string;
}

/**
 * Makes the ServiceAccounts of an environment those that its resource lists and that are alive, in one transaction with an
 * event for each that came, changed or went. One that is not among them opens nothing from the commit on. Calling it again
 * changes nothing. Rejects with `environment_gone` or a `database_*` error.
 */
export async function storeServiceAccounts(vault: ReigningVault, options: ServiceAccountsOptions): Promise<void> {
  await vault.database.transaction(async (transaction) => {
    await holdEnvironment(transaction, options);
    for (const row of await removeOthers(transaction, options)) {
      await record(transaction, options, "service-account.removed", row);
    }
    for (const account of options.accounts) {
      const action = await allow(transaction, options.environmentId, account);
      if (action) await record(transaction, options, action, account);
    }
  });
}

async function holdEnvironment(
  transaction: Queryable,
  { environmentId, owner }: ServiceAccountsOptions,
): Promise<void> {
  const rows = await transaction.query(
    `select from keystead.environments
      where environment_id = $1 and owner_uid = $2 and deleted_at is null
        for no key update`,
    [environmentId, owner.uid],
  );
  if (rows.length > 0) return;
  throw new KeysteadError("environment_gone", `environment ${environmentId} was deleted, or is another resource's`);
}

function removeOthers(
  transaction: Queryable,
  { environmentId, accounts }: ServiceAccountsOptions,
): Promise<ChangedRow[]> {
  return transaction.query<ChangedRow>(
    `delete from keystead.key_digests
      where environment_id = $1 and service_account is not null and encode(digest, 'hex') <> all($2::text[])
     returning service_account as name, service_account_uid as uid`,
    [environmentId, accounts.map(({ digest }) => digest)],
  );
}

/** The environment of this name before, which is deleted, may have had the same account: it is taken from there. */
async function allow(
  transaction: Queryable,
  environmentId: string,
  account: AllowedServiceAccount,
): Promise<AuditAction | undefined> {
  const [row] = await transaction.query<{ is_new: boolean }>(
    `with before as (
       select environment_id from keystead.key_digests where digest = decode($2, 'hex')
     )
     insert into keystead.key_digests as d
       (digest, environment_id, service_account, service_account_uid, scopes, connection_selector)
     values (decode($2, 'hex'), $1, $3, $4, $5, $6)
     on conflict (digest) do update
        set environment_id = $1, scopes = excluded.scopes, connection_selector = excluded.connection_selector
      where (d.environment_id, d.scopes, d.connection_selector)
            is distinct from (excluded.environment_id, excluded.scopes, excluded.connection_selector)
     returning not exists (select from before where environment_id = $1) as is_new`,
    [
      environmentId,
      account.digest,
      account.name,
      account.uid,
      account.scopes,
      account.connectionSelector === undefined ? null : JSON.stringify(account.connectionSelector),
    ],
  );
  return row && (row.is_new ? "service-account.allowed" : "service-account.updated");
}

function record(
  transaction: Queryable,
  { environmentId, owner }: ServiceAccountsOptions,
  action: AuditAction,
  { name, uid }: ChangedRow,
): Promise<void> {
  return recordAuditEvent(transaction, {
    environmentId,
    actor: { kind: "resource", owner },
    action,
    targetId: uid,
    targetRevision: 1,
    fields: [name],
  });
}
