import { expect } from "vitest";
import { eventually } from "./eventually.ts";
import type { Installation } from "./keystead.ts";
import { canary } from "./leaks.ts";
import { query } from "./database.ts";
import { connection, environment, integration, type Manifest, secret } from "./resources.ts";

/** One of the two Connections. */
export type Slot = "a" | "b";

/** A row of a connection as a user may know it: under which id, in which environment, with which value. */
interface Row {
  readonly id: string;
  readonly environmentId: string;
  token: string;
  isExpired: boolean;
}

interface Connected {
  /** Whether its Connection is there. */
  isApplied: boolean;
  /** What its Secret holds. */
  token: string;
  /** What is served, also while its Connection is not there: a restored environment brings it along. */
  row: Row | undefined;
  lastDeleted: Row | undefined;
}

interface Identity {
  readonly id: string;
  key: string;
  /** What came back if it was restored. */
  readonly along: Map<Slot, Row>;
  isExpired: boolean;
}

/** One thing that somebody does. What makes no sense at the moment, such as restoring what is there, does nothing. */
export type LifeStep =
  | { readonly kind: "apply environment" | "delete environment" | "restore environment" | "rotate" }
  | { readonly kind: "apply" | "delete" | "restore" | "change"; readonly slot: Slot }
  /** So much time goes by that nothing deleted so far can be restored. */
  | { readonly kind: "expire" };

/** A life of an Environment, its Integration and two Connections, and a model of what its users may expect. */
export interface Life {
  /** Does it, waits as a user would, and throws where what comes of it is not as the model says. */
  take(step: LifeStep): Promise<void>;
  /** Throws where an application gets anything else, with any key that ever was, than the model says. */
  expectModel(): Promise<void>;
}

export interface LifeOptions {
  readonly installation: Installation;
  /** Base URL of the API. */
  readonly api: string;
  /** Part of all names, so that lives do not meet. */
  readonly name: string;
}

export function createLife({ installation, api, name }: LifeOptions): Life {
  const { objects, database } = installation;
  const names = { environment: `environment-${name}`, integration: `integration-${name}` };
  const itself = `environment/${names.environment}` as const;
  const identities: Identity[] = [];
  const rotatedKeys: string[] = [];
  let alive: Identity | undefined;
  let lastDeleted: Identity | undefined;
  const slots: Record<Slot, Connected> = {
    a: { isApplied: false, token: canary("a"), row: undefined, lastDeleted: undefined },
    b: { isApplied: false, token: canary("b"), row: undefined, lastDeleted: undefined },
  };
  const referenceOf = (slot: Slot) => `connection/${slot}-${name}` as const;
  const manifestOf = (slot: Slot, spec: object = {}): Manifest => connection(`${slot}-${name}`, names, spec);

  async function keyInSecret(): Promise<string> {
    const { data = {} } = await objects.get(`secret/${names.environment}-keystead`);
    return Buffer.from(data["KEYSTEAD_SECRET_KEY"] ?? "", "base64").toString();
  }

  /** Status and value of an answer to whoever has that key. */
  async function ask(key: string, slot: Slot): Promise<string> {
    const path = `/connections/${slot}-${name}?provider_config_key=${names.integration}`;
    const response = await fetch(api + path, { headers: { authorization: `Bearer ${key}` } });
    // Refused as well: this address asked with too many keys that open nothing.
    if (response.status === 429) return "401";
    if (!response.ok) return String(response.status);
    const body = (await response.json()) as { credentials?: { apiKey?: string } };
    return body.credentials?.apiKey ?? "nothing";
  }

  /** The Connection is there and so is its environment: its row is there soon, the same one if there was one. */
  async function expectStored(slot: Slot): Promise<void> {
    const one = slots[slot];
    if (!alive || !one.isApplied) return;
    const known = one.row;
    // A controller that died before it came to it leaves the status of the time before the deletion.
    const id = await eventually(async () => {
      await objects.ready(referenceOf(slot));
      const stored = String((await objects.get(referenceOf(slot))).status?.["connectionId"]);
      if (!known) expect(stored, `the new row of ${slot} is another one`).not.toBe(one.lastDeleted?.id);
      return stored;
    });
    if (known) expect(id, `the row of ${slot}, that was there`).toBe(known.id);
    one.row = { id, environmentId: alive.id, token: one.token, isExpired: false };
  }

  async function expectAllStored(): Promise<void> {
    await objects.ready(`integration/${names.integration}`);
    await expectStored("a");
    await expectStored("b");
  }

  async function refuseRestore(slot: Slot, id: string): Promise<void> {
    await eventually(async () => {
      const { status } = await objects.get(referenceOf(slot));
      expect(status?.conditions?.map(({ reason }) => reason).join(), `restore of ${id}`).toMatch(/Restore/);
    });
  }

  async function applyEnvironment(): Promise<void> {
    if (alive) return;
    await objects.apply(environment(names.environment), integration(names.integration, names.environment));
    await objects.ready(itself);
    const key = await keyInSecret();
    expect(
      identities.map((identity) => identity.key),
      "keys that were there before",
    ).not.toContain(key);
    const { status } = await objects.get(itself);
    alive = { id: String(status?.["environmentId"]), key, along: new Map(), isExpired: false };
    identities.push(alive);
    await expectAllStored();
  }

  async function deleteEnvironment(): Promise<void> {
    if (!alive) return;
    await objects.delete(itself);
    lastDeleted = alive;
    lastDeleted.along.clear();
    alive = undefined;
    for (const [slot, one] of Object.entries(slots) as [Slot, Connected][]) {
      one.lastDeleted = one.row ?? one.lastDeleted;
      one.row = undefined;
      const { lastDeleted: row } = one;
      if (row?.environmentId === lastDeleted.id && !row.isExpired) lastDeleted.along.set(slot, row);
    }
  }

  async function restoreEnvironment(): Promise<void> {
    if (alive || !lastDeleted || lastDeleted.isExpired) return;
    await objects.apply(environment(names.environment, { restoreFrom: lastDeleted.id }));
    await objects.ready(itself);
    alive = lastDeleted;
    expect(await keyInSecret(), "the key of the restored environment").toBe(alive.key);
    for (const [slot, row] of alive.along) slots[slot].row = row;
    await expectAllStored();
  }

  async function rotate(): Promise<void> {
    if (!alive) return;
    const token = `${rotatedKeys.length}`;
    await objects.patch(itself, { metadata: { annotations: { "keystead.dev/rotate-secret-key": token } } });
    await eventually(async () => {
      const { status } = await objects.get(itself);
      expect(status).toMatchObject({ secretKey: { lastHandledRotation: token } });
    });
    rotatedKeys.push(alive.key);
    alive.key = await keyInSecret();
    expect(rotatedKeys, "keys that were rotated").not.toContain(alive.key);
  }

  async function apply(slot: Slot): Promise<void> {
    const one = slots[slot];
    one.isApplied = true;
    await objects.apply(secret(`${slot}-${name}`, { token: one.token }), manifestOf(slot));
    await expectStored(slot);
  }

  async function remove(slot: Slot): Promise<void> {
    const one = slots[slot];
    if (!one.isApplied) return;
    await objects.delete(referenceOf(slot));
    one.isApplied = false;
    one.lastDeleted = one.row ?? one.lastDeleted;
    one.row = undefined;
  }

  async function restore(slot: Slot): Promise<void> {
    const one = slots[slot];
    const { lastDeleted: row } = one;
    if (one.isApplied || !alive || !row || (one.row && one.row.id !== row.id)) return;
    await objects.apply(manifestOf(slot, { credentials: undefined, restoreFrom: row.id }));
    if (row.environmentId === alive.id && !row.isExpired) {
      await objects.ready(referenceOf(slot));
      expect(await ask(alive.key, slot), "what the restored connection has").toBe(row.token);
      one.row = row;
    } else await refuseRestore(slot, row.id);
    await apply(slot);
  }

  async function change(slot: Slot): Promise<void> {
    const one = slots[slot];
    one.token = canary(slot);
    await objects.apply(secret(`${slot}-${name}`, { token: one.token }));
    if (one.row && one.isApplied) one.row.token = one.token;
  }

  async function expire(): Promise<void> {
    for (const table of ["environments", "integrations", "connections"]) {
      await query(
        database.ownerUrl,
        `update keystead.${table} set deleted_at = deleted_at - interval '32 days'
          where deleted_at is not null and owner_name like '%-' || $1`,
        [name],
      );
    }
    if (lastDeleted && lastDeleted !== alive) lastDeleted.isExpired = true;
    for (const { lastDeleted: row, row: live } of Object.values(slots)) if (row && row !== live) row.isExpired = true;
  }

  return {
    take(step) {
      switch (step.kind) {
        case "apply environment":
          return applyEnvironment();
        case "delete environment":
          return deleteEnvironment();
        case "restore environment":
          return restoreEnvironment();
        case "rotate":
          return rotate();
        case "apply":
          return apply(step.slot);
        case "delete":
          return remove(step.slot);
        case "restore":
          return restore(step.slot);
        case "change":
          return change(step.slot);
        case "expire":
          return expire();
        default:
          return step satisfies never;
      }
    },
    expectModel: () =>
      eventually(async () => {
        for (const [slot, { row }] of Object.entries(slots) as [Slot, Connected][]) {
          for (const key of rotatedKeys) expect(await ask(key, slot), `${slot} with a rotated key`).toBe("401");
          for (const identity of identities) {
            const wanted = identity === alive ? (row?.token ?? "404") : "401";
            expect(await ask(identity.key, slot), `${slot} with the key of ${identity.id}`).toBe(wanted);
          }
        }
      }),
  };
}
