import type { Queryable } from "../db/session-pool.ts";

/** What became of an environment that a resource had. */
export interface SupersededOwner {
  readonly environment_id: string;
  readonly by_cluster: string;
  readonly by_namespace: string;
  readonly by_name: string;
}

/** Who took the environment of this resource over, if anybody did. */
export async function findSuperseded(
  vault: { readonly database: Queryable },
  uid: string,
): Promise<SupersededOwner | undefined> {
  const [row] = await vault.database.query<SupersededOwner>(
    `select environment_id, by_cluster, by_namespace, by_name
       from keystead.superseded_owners
      where owner_uid = $1
      order by superseded_at desc
      limit 1`,
    [uid],
  );
  return row;
}

/** A resource that does not have its environment any more. */
export interface SupersededResource {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
}

/** All superseded resources of a release in a cluster: a handful, so they are asked for as a whole. */
export async function listSuperseded(
  vault: { readonly database: Queryable },
  { cluster, release }: { readonly cluster: string; readonly release: string },
): Promise<SupersededResource[]> {
  return vault.database.query<SupersededResource>(
    `select owner_uid as uid, owner_namespace as namespace, owner_name as name
       from keystead.superseded_owners
      where owner_cluster = $1 and owner_release = $2`,
    [cluster, release],
  );
}
