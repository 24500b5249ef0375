import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/**
 * Makes V8 prefer a small heap. A controller reads a list once and then waits for days: what the heap grew to meanwhile
 * would not be given back (210 MB instead of 120 MB with 10,000 Connections; bench/memory.ts). It costs a second of
 * processor time in such a start. Has to come before anything large is read.
 */
export function keepHeapSmall(): void {
  setFlagsFromString("--optimize-for-size");
}

/**
 * Has V8 look for garbage when the heap is half as large again as what was found to be in use, instead of four times. A
 * request leaves nothing behind, so that an API in use has 20 MB that live, and what it grows to is garbage: under load
 * 30 MB instead of 75, at the same cost of a request (bench/read-latency.ts).
 */
export function growHeapSlowly(): void {
  setFlagsFromString("--heap-growing-percent=50");
}

type Collect = (options: object) => void;

let exposed: Collect | undefined;

/** The engine's own function, which scripts see only under `--expose-gc`. */
function collector(): Collect {
  if (exposed) return exposed;
  setFlagsFromString("--expose-gc");
  const collect: Collect = runInNewContext("gc");
  setFlagsFromString("--no-expose-gc");
  exposed = collect;
  return collect;
}

/**
 * Collects what was made just now and is garbage already, in a millisecond. V8 by itself lets 16 MiB of objects and 32 MiB of
 * buffers come together before it does, and moves what happens to be in use then to where nothing is collected for long.
 */
export function collectYoungGarbage(): void {
  collector()({ type: "minor" });
}

/**
 * Collects all garbage and gives the memory back, which takes 0.1 s and stops everything. For the one moment at which it
 * is known that nearly all of the heap is garbage; V8 by itself would wait until it needs the room again.
 */
export function collectGarbage(): void {
  collector()({ type: "major", flavor: "last-resort" });
}
