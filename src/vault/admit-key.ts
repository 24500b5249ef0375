import type { Queryable } from "../db/session-pool.ts";
import { statement } from "../db/statement.ts";
import { KeysteadError } from "../errors.ts";
import type { Scope } from "../scopes.ts";
import type { Vault } from "./context.ts";
import type { Actor } from "./owner.ts";
import { accountOf, admits, callingActorOf, opens, permits } from "./permission.ts";

/** Who wants to change something over the API, and what that takes. */
export interface KeyHolder {
  /** SHA-256 of the token. */
  readonly keyDigest: Buffer;
  /** The key needs one of them; with none it only has to be good. */
  readonly scopes: readonly Scope[];
  /** Address of the caller, for audit events. */
  readonly address?: string | undefined;
}

/** What a key opens. */
export interface AdmittedKey {
  readonly environmentId: string;
  /** Tags that a connection must have to exist for the key; null: every connection does. */
  readonly selector: Readonly<Record<string, string>> | null;
  readonly mayRead: boolean;
  readonly mayReadCredentials: boolean;
  readonly actor: Actor;
}

interface KeyRow {
  readonly environment_id: string;
  readonly connection_selector: Record<string, string> | null;
  readonly permitted: boolean;
  readonly may_read: boolean;
  readonly may_read_credentials: boolean;
  readonly account: string | null;
}

const FIND_KEY = `select e.environment_id, k.connection_selector, ${accountOf("k", "e")} as account,
            k.scopes is null or k.scopes && $2::text[] or cardinality($2::text[]) = 0 as permitted,
            ${permits("k", "connections:read", "connections:read_credentials")} as may_read,
            ${permits("k", "connections:read_credentials")} as may_read_credentials
       from keystead.key_digests k
       join keystead.environments e on e.environment_id = k.environment_id and e.deleted_at is null and ${admits("e", "$3")}
      where ${opens("k", "$1")}`;

const CHECK_KEY = statement("check_key", FIND_KEY);

/**
 * Looks a key up, and keeps its environment alive until the transaction ends. Whoever writes does so first, in the
 * transaction that writes: nothing is remembered that could outlive a revocation. Rejects with `unknown_account`,
 * `forbidden` or a `database_*` error.
 *
 * @param lock the stronger one keeps all others from writing in the environment meanwhile
 */
export async function admitKey(
  transaction: Queryable,
  holder: KeyHolder,
  lock: "share" | "no key update" = "share",
): Promise<AdmittedKey> {
  const { keyDigest, scopes, address = null } = holder;
  const [row] = await transaction.query<KeyRow>(`${FIND_KEY} for ${lock} of e`, [keyDigest, scopes, address]);
  return admitted(holder, row);
}

/** The same for whoever changes nothing with it. */
export async function checkKey({ database }: Pick<Vault, "database">, holder: KeyHolder): Promise<AdmittedKey> {
  const { keyDigest, scopes, address = null } = holder;
  const [row] = await database.read<KeyRow>(CHECK_KEY, [keyDigest, scopes, address]);
  return admitted(holder, row);
}

function admitted(holder: KeyHolder, row: KeyRow | undefined): AdmittedKey {
  if (!row) throw unknownKey();
  if (!row.permitted) throw missingScope(holder.scopes[0] ?? "");
  return {
    environmentId: row.environment_id,
    selector: row.connection_selector,
    mayRead: row.may_read,
    mayReadCredentials: row.may_read_credentials,
    actor: callingActorOf(row.account, holder),
  };
}

/** A key that opens nothing: it never existed, was rotated, has expired, or its environment is deleted. */
export function unknownKey(): KeysteadError {
  return new KeysteadError(
    "unknown_account",
    "No environment has this secret key. It may have been rotated: read it from the Secret again.",
  );
}

/** A key that is good, and not for this. */
export function missingScope(scope: string): KeysteadError {
  return new KeysteadError("forbidden", `This key does not have the scope ${scope}, which the request needs.`);
}

/** For what is of all connections, or touches them all, whatever their tags. Throws `forbidden`. */
export function refuseSelector({ selector }: Pick<AdmittedKey, "selector">, what: string): void {
  if (selector === null) return;
  throw new KeysteadError("forbidden", `A key with a connectionSelector cannot ${what}.`);
}

/** Whether the tags are those of a connection that exists for the key. Pure. */
export function isSelected(
  { selector }: Pick<AdmittedKey, "selector">,
  tags: Readonly<Record<string, string>>,
): boolean {
  return Object.entries(selector ?? {}).every(([key, value]) => Object.hasOwn(tags, key) && tags[key] === value);
}
