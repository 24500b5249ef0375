import type { ObjectKey } from "../kube/object.ts";
import type { WorkQueue } from "../kube/work-queue.ts";
import type { Parsed } from "../resources/parse.ts";
import type { Log } from "../telemetry/log.ts";
import type { Rows } from "./rows.ts";
import type { KeysteadResource } from "./targets.ts";

interface CatchUpKind {
  readonly kind: KeysteadResource["kind"];
  readonly objects: { keys(): Iterable<ObjectKey>; get(key: ObjectKey): Parsed<KeysteadResource> | undefined };
  readonly queue: WorkQueue;
}

interface CatchUpOptions {
  /** Kinds that others refer to, each before those that refer to it. */
  readonly parents: readonly CatchUpKind[];
  readonly connections: CatchUpKind;
  readonly rows: Pick<Rows, "prefetchConnections" | "dropPrefetched">;
  readonly log: Pick<Log, "warn">;
  readonly signal: AbortSignal;
  /**
   * The objects of that kind are about to get their pass: from now on the row of a parent that appears has to wake them.
   * A parent may be late, where its first pass failed and is tried again.
   */
  begins(kind: KeysteadResource["kind"]): void;
}

/**
 * Connections whose rows are loaded with one query: few enough to hold (about 1 KiB each) beside the work of a running
 * catch-up, so many that 10,000 settled ones cost a dozen queries.
 */
const CHUNK = 1_000;

/** The next chunk is loaded while this many still wait, so that the workers never do. */
const REFILL_BELOW = 100;

/**
 * Gives every object that was there at the start one pass, behind all that change meanwhile. The rows are loaded ahead in
 * chunks; where that fails, each pass asks for its own and waits out the trouble with back-off.
 */
export async function catchUp(options: CatchUpOptions): Promise<void> {
  const { parents, connections, rows, log, signal } = options;
  for (const { kind, objects, queue } of parents) {
    options.begins(kind);
    for (const key of objects.keys()) queue.add(key, "resync");
    await queue.whenIdle();
    if (signal.aborted) return;
  }
  options.begins(connections.kind);
  for (const chunk of chunksOf([...connections.objects.keys()])) {
    await connections.queue.whenBelow(REFILL_BELOW);
    if (signal.aborted) return;
    try {
      const found = chunk.map((key) => connections.objects.get(key)).filter((one) => one !== undefined);
      await rows.prefetchConnections(found.map((one) => one.value));
    } catch (error) {
      log.warn({ error }, "The rows of the Connections could not be loaded ahead");
    }
    for (const key of chunk) connections.queue.add(key, "resync");
  }
  await connections.queue.whenIdle();
  rows.dropPrefetched();
}

function* chunksOf(keys: readonly ObjectKey[]): Generator<readonly ObjectKey[]> {
  for (let start = 0; start < keys.length; start += CHUNK) yield keys.slice(start, start + CHUNK);
}
