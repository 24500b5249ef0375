import type { ObjectKey } from "../kube/object.ts";
import type { WorkQueue } from "../kube/work-queue.ts";
import type { Parsed } from "../resources/parse.ts";
import type { Log } from "../telemetry/log.ts";
import { catchUpOrder } from "./catch-up-order.ts";
import type { ReferenceIndex } from "./references.ts";
import type { Rows } from "./rows.ts";
import type { KeysteadResource } from "./targets.ts";

interface CatchUpKind {
  readonly kind: KeysteadResource["kind"];
  readonly objects: { keys(): Iterable<ObjectKey>; get(key: ObjectKey): Parsed<KeysteadResource> | undefined };
  readonly queue: WorkQueue;
}

interface CatchUpOptions {
  /** Each kind before those that refer to it. */
  readonly kinds: readonly CatchUpKind[];
  readonly references: Pick<ReferenceIndex, "shared">;
  readonly rows: Pick<Rows, "prefetch" | "dropPrefetched">;
  readonly log: Pick<Log, "warn">;
  readonly signal: AbortSignal;
  /**
   * The objects of that kind are about to get their pass: from now on the row of a parent that appears has to wake them.
   * A parent may be late, where its first pass failed and is tried again.
   */
  begins(kind: KeysteadResource["kind"]): void;
}

/**
 * Objects whose rows are loaded with one query: few enough to hold (about 1 KiB each) beside the work of a running
 * catch-up, so many that 10,000 settled ones cost five queries.
 */
const CHUNK = 2_000;

/** The next chunk is loaded while this many still wait, so that the workers never do. */
const REFILL_BELOW = 100;

/**
 * Gives every object that was there at the start one pass, behind all that change meanwhile. The rows are loaded ahead in
 * chunks; where that fails, each pass asks for its own and waits out the trouble with back-off.
 */
export async function catchUp(options: CatchUpOptions): Promise<void> {
  for (const kind of options.kinds) {
    options.begins(kind.kind);
    for (const chunk of chunksOf(catchUpOrder(kind.kind, kind.objects.keys(), options.references))) {
      await kind.queue.whenBelow(REFILL_BELOW);
      if (options.signal.aborted) return;
      await loadAhead(kind, chunk, options);
      for (const key of chunk) kind.queue.add(key, "resync");
    }
    await kind.queue.whenIdle();
    if (options.signal.aborted) return;
  }
  options.rows.dropPrefetched();
}

async function loadAhead(
  { kind, objects }: CatchUpKind,
  keys: readonly ObjectKey[],
  { rows, log }: Pick<CatchUpOptions, "rows" | "log">,
): Promise<void> {
  const found = keys.map((key) => objects.get(key)).filter((one) => one !== undefined);
  try {
    await rows.prefetch(
      kind,
      found.map((one) => one.value),
    );
  } catch (error) {
    log.warn({ error, kind }, "The rows could not be loaded ahead");
  }
}

function* chunksOf(keys: readonly ObjectKey[]): Generator<readonly ObjectKey[]> {
  for (let start = 0; start < keys.length; start += CHUNK) yield keys.slice(start, start + CHUNK);
}
