import type { JsonObject } from "../crypto/canonical-json.ts";
import type { Queryable } from "../db/session-pool.ts";

/** What signs the ServiceAccount tokens of a cluster. Public keys: nothing of it is secret. */
export interface TokenIssuer {
  /** uid of the cluster's kube-system namespace. */
  readonly cluster: string;
  /** `iss` of its tokens; several clusters may have the same. */
  readonly issuer: string;
  /** A JSON Web Key Set (RFC 7517 section 5). */
  readonly jwks: JsonObject;
}

/** Keeps what a cluster says of itself; what is no news is not written. Rejects with a `database_*` error. */
export async function storeTokenIssuer(
  { database }: { readonly database: Queryable },
  { cluster, issuer, jwks }: TokenIssuer,
): Promise<void> {
  await database.query(
    `insert into keystead.token_issuers as t (cluster, issuer, jwks) values ($1, $2, $3)
     on conflict (cluster) do update set issuer = excluded.issuer, jwks = excluded.jwks, renewed_at = now()
      where (t.issuer, t.jwks) is distinct from (excluded.issuer, excluded.jwks)`,
    [cluster, issuer, JSON.stringify(jwks)],
  );
}

/** All of them: one for each cluster on the database. Rejects with a `database_*` error. */
export function readTokenIssuers(database: Queryable): Promise<TokenIssuer[]> {
  return database.query<{ cluster: string; issuer: string; jwks: JsonObject }>(
    "select cluster, issuer, jwks from keystead.token_issuers order by cluster",
  );
}
