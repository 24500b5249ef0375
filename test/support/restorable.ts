import type { ReigningVault } from "../../src/vault/context.ts";
import { readConnection } from "../../src/vault/read-connection.ts";
import { softDeleteConnection } from "../../src/vault/soft-delete-connection.ts";
import type { DesiredConnection } from "../../src/vault/connection.ts";
import { actorOf, newOwner, storeExample, type TestVault } from "./vault.ts";

/** A connection that was deleted, and the resource of its name that was made afterwards. */
export async function deletedExample(vault: ReigningVault) {
  const example = await storeExample(vault);
  await softDeleteConnection(vault, example.desired.owner.uid, actorOf(example.desired.owner));
  return { ...example, request: requestFor(example.desired, example.stored.id) };
}

/** What the next resource of that name says when it wants the row back. */
export function requestFor(desired: DesiredConnection, id: string) {
  const { environmentId, environmentUid, integrationId, connectionId } = desired;
  return {
    id,
    environmentId,
    environmentUid,
    integrationId,
    connectionId,
    owner: newOwner(connectionId),
    keepsCredentials: false,
  };
}

/** The connection as an application gets it, or the reason why not. */
export async function served(vault: ReigningVault, keyDigest: Buffer, connectionId = "acme") {
  const read = await readConnection(vault, { keyDigest, providerConfigKey: "github", connectionId });
  if (read.kind !== "found") return read.kind;
  const credentials: { apiKey: string } = JSON.parse(read.connection.credentials?.reveal() ?? "{}");
  return { id: read.connection.id, apiKey: credentials.apiKey };
}

/** Moves every deletion into the past, as if the time had gone by. */
export async function ageDeletions({ database }: Pick<TestVault, "database">, seconds: number): Promise<void> {
  const also = ", deletion_since = deletion_since - make_interval(secs => $1)";
  for (const table of ["environments", "integrations", "connections"]) {
    await database.query(
      `with held as materialized (select reign from keystead.reigns for key share)
       update keystead.${table}
          set deleted_at = deleted_at - make_interval(secs => $1)${table === "environments" ? also : ""}
        where deleted_at is not null and exists (select from held)`,
      [seconds],
    );
  }
}

/** Who did what to which rows, newest last. */
export async function eventsOf({ database }: Pick<TestVault, "database">, ...actions: readonly string[]) {
  return database.query<{ action: string; actor: string; target_id: string; deletion_id: string | null }>(
    `select action, actor, target_id, deletion_id from keystead.audit_events
      where action = any($1) order by event_id`,
    [actions],
  );
}
