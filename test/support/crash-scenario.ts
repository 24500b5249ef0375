import { expect } from "vitest";
import { folder, keyIn, noteIds, type Place } from "./crash-place.ts";
import { canary } from "./leaks.ts";

/** Something a user does, that a controller may be killed in the middle of. */
export interface Scenario {
  readonly name: string;
  /** Makes what is there before, and resolves when it is settled. */
  arrange?(place: Place): Promise<void>;
  act(place: Place): Promise<void>;
  /** The controller is started again once that is done, and it is the new one's messages that count. */
  readonly restarts?: "as it was" | "with a new encryption key";
  /** Resolves when what was asked for is done. */
  settled(place: Place): Promise<void>;
  /** What must hold then, beside what always must. */
  holds(place: Place): Promise<void>;
}

/** Everything of the folder that has a status. */
export const ALL = ["environment/production", "integration/stripe", "connection/acme"] as const;
/** What the Connection of the folder has to begin with. */
export const FIRST = canary("first");

/** The folder, settled, with the ids of its rows noted. */
export async function arrangeFolder(place: Place): Promise<void> {
  await place.objects.apply(...Object.values(folder(FIRST)));
  await place.objects.ready(...ALL);
  await noteIds(place);
}

/** That the Connection, read with the key in the Secret, has that token, or why it cannot be read. */
export async function expectServed(place: Place, token: string): Promise<void> {
  expect(await place.served(await keyIn(place.objects)), "what the key in the Secret opens").toBe(token);
}

/** That the key which the Secret held at first opens nothing. */
export async function expectOldKeyDead(place: Place): Promise<void> {
  expect(await place.served(place.notes.get("key") ?? ""), "what the old key opens").toBe("unknown_key");
}

/** How many rows of each kind live, and how many are soft-deleted. */
export async function expectRows(
  place: Place,
  wanted: Readonly<Record<string, readonly [live: number, deleted: number]>>,
): Promise<void> {
  const rows = await place.rows<{ kind: string; live: number; deleted: number }>(
    `select kind, count(*) filter (where deleted_at is null)::int as live, count(deleted_at)::int as deleted
       from (select 'environments' as kind, owner_namespace, deleted_at from keystead.environments
             union all select 'integrations', owner_namespace, deleted_at from keystead.integrations
             union all select 'connections', owner_namespace, deleted_at from keystead.connections) of_all
      where owner_namespace = $1 group by kind`,
  );
  expect(Object.fromEntries(rows.map(({ kind, live, deleted }) => [kind, [live, deleted]]))).toEqual(wanted);
}

/** How often each thing happened to secret keys, by the audit. */
export async function keyEvents(place: Place): Promise<Record<string, number>> {
  const events = await place.rows<{ action: string; count: number }>(
    `select action, count(*)::int as count from keystead.audit_events join keystead.environments using (environment_id)
      where owner_namespace = $1 and action like 'secret-key.%' group by action`,
  );
  return Object.fromEntries(events.map(({ action, count }) => [action, count]));
}

/** That nothing else happened to secret keys, and nothing twice. */
export async function expectKeyEvents(place: Place, wanted: Readonly<Record<string, number>>): Promise<void> {
  expect(await keyEvents(place), "what happened to secret keys").toEqual(wanted);
}
