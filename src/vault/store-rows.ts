import { asKeysteadError, hasCode, KeysteadError } from "../errors.ts";
import { failed, succeeded, type Outcome } from "./outcome.ts";
import type { Owner } from "./owner.ts";

/** What has to happen to a row so that it says what its resource wants, and what is there afterwards. */
export type StorePlan<Row, Stored> =
  | { readonly kind: "settled"; readonly stored: Stored }
  | { readonly kind: "insert" | "update"; readonly row: Row; readonly stored: Stored };

/** The steps of storing rows of one kind. All but `plan` take a whole batch. */
export interface StoreSteps<Desired, State, Row, Stored> {
  /** What is stored now, by the uid of the owner. */
  describe(items: readonly Desired[]): Promise<ReadonlyMap<string, State>>;
  /** Throws what fails this item alone. */
  plan(desired: Desired, state: State | undefined): Promise<StorePlan<Row, Stored>>;
  /** Writes rows with their audit events; gives the ids of those that nothing stood in the way of. */
  insert(rows: readonly Row[]): Promise<ReadonlySet<string>>;
  update(rows: readonly Row[]): Promise<ReadonlySet<string>>;
  /** Why a row was not written. `row_changed` means that planning again may help. */
  explain(desired: Desired): Promise<KeysteadError>;
}

interface DesiredRow<State> {
  readonly owner: Owner;
  readonly expectedRevision?: number;
  /** What the caller has just read: not looked up again. A row that changed since is refused, as by its revision. */
  readonly known?: State | undefined;
}

interface Planned<Desired, Row, Stored> {
  readonly desired: Desired;
  readonly plan: StorePlan<Row, Stored>;
}

/** Rounds for items without an expected revision that met another writer. Each loses only to somebody who got on. */
const ROUNDS = 3;

/**
 * Stores a batch of desired rows: one query for what may be there and is not known, one statement for all that is new, one for
 * all that differs. An item that cannot be stored ends with its own error and leaves the others alone.
 */
export async function storeRows<
  Desired extends DesiredRow<State>,
  State extends { revision: number },
  Row,
  Stored extends { id: string },
>(steps: StoreSteps<Desired, State, Row, Stored>, items: readonly Desired[]): Promise<Outcome<Stored>[]> {
  const outcomes = new Map<Desired, Outcome<Stored>>();
  for (const wave of wavesOf(items)) {
    let todo = wave;
    for (let round = 1; round <= ROUNDS && todo.length > 0; round += 1) {
      const refused = await storeRound(steps, todo, outcomes);
      todo = refused.filter((item) => mayLookAgain(item) && isRetryable(outcomes.get(item)));
    }
  }
  return items.map(
    (item) => outcomes.get(item) ?? failed(new KeysteadError("internal_error", "an item was not stored")),
  );
}

/** One pass over the items. Sets the outcome of each and returns those that were not written. */
async function storeRound<
  Desired extends DesiredRow<State>,
  State extends { revision: number },
  Row,
  Stored extends { id: string },
>(
  steps: StoreSteps<Desired, State, Row, Stored>,
  items: readonly Desired[],
  outcomes: Map<Desired, Outcome<Stored>>,
): Promise<Desired[]> {
  const unknown = items.filter(mayBeStored);
  const states = unknown.length === 0 ? undefined : await steps.describe(unknown);
  const planned: Planned<Desired, Row, Stored>[] = [];
  for (const desired of items) {
    try {
      const state = desired.known ?? states?.get(desired.owner.uid);
      checkRevision(desired, state);
      planned.push({ desired, plan: await steps.plan(desired, state) });
    } catch (thrown) {
      // Sealing may fail for one environment (its key is not configured) while all others go on.
      outcomes.set(desired, failed(asKeysteadError(thrown)));
    }
  }
  const written = new Set([
    ...(await writeRows(planned, "insert", (rows) => steps.insert(rows))),
    ...(await writeRows(planned, "update", (rows) => steps.update(rows))),
  ]);
  const refused: Desired[] = [];
  for (const { desired, plan } of planned) {
    if (plan.kind === "settled" || written.has(plan.stored.id)) {
      outcomes.set(desired, succeeded(plan.stored));
      continue;
    }
    outcomes.set(desired, failed(await steps.explain(desired)));
    refused.push(desired);
  }
  return refused;
}

async function writeRows<Desired, Row, Stored>(
  planned: readonly Planned<Desired, Row, Stored>[],
  kind: "insert" | "update",
  write: (rows: readonly Row[]) => Promise<ReadonlySet<string>>,
): Promise<ReadonlySet<string>> {
  const rows = planned.flatMap(({ plan }) => (plan.kind === kind ? [plan.row] : []));
  return rows.length === 0 ? new Set() : write(rows);
}

/** A row that its caller knows nothing of is inserted at once: where one is there after all, that refuses it. */
function mayBeStored({ expectedRevision, known }: DesiredRow<unknown>): boolean {
  return known === undefined && expectedRevision !== 0;
}

/** Whoever named what it decided on has to decide anew. */
function mayLookAgain({ expectedRevision, known }: DesiredRow<unknown>): boolean {
  return expectedRevision === undefined && known === undefined;
}

function checkRevision(desired: DesiredRow<unknown>, state: { readonly revision: number } | undefined): void {
  if (desired.expectedRevision === undefined || desired.expectedRevision === (state?.revision ?? 0)) return;
  throw new KeysteadError(
    "row_changed",
    `the row of ${desired.owner.namespace}/${desired.owner.name} changed since it was read`,
    {
      details: { expected: desired.expectedRevision, found: state?.revision },
    },
  );
}

function isRetryable(outcome: Outcome<unknown> | undefined): boolean {
  return outcome?.ok === false && hasCode(outcome.error, "row_changed");
}

/** One statement writes a row once: of several items of one owner, each goes with a wave of its own, in their order. */
function wavesOf<Desired extends DesiredRow<unknown>>(items: readonly Desired[]): Desired[][] {
  const waves: Desired[][] = [];
  for (const sameOwner of Map.groupBy(items, (item) => item.owner.uid).values()) {
    for (const [index, item] of sameOwner.entries()) (waves[index] ??= []).push(item);
  }
  return waves;
}
