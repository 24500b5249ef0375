import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Arena } from "./arena.ts";

/** What the bare loop works on: all Connections of a namespace. */
export interface FloorTask {
  readonly kubeconfig: string;
  readonly namespace: string;
  /** One object after the other, with a commit in this database between finalizer and status; absent: many at one time, without. */
  readonly commitTo?: string;
  /** Milliseconds from the start of one object to that of the next; without a pause when absent. */
  readonly everyMs?: number | undefined;
}

export interface FloorResult {
  /** Of the whole loop. */
  readonly milliseconds: number;
  /** Milliseconds of each object. */
  readonly each: readonly number[];
}

/** Runs the bare loop in a process of its own, under the controller's identity. */
export async function runFloor(
  arena: Arena,
  namespace: string,
  how: Pick<FloorTask, "commitTo" | "everyMs"> = {},
): Promise<FloorResult> {
  const task: FloorTask = { kubeconfig: arena.controllerKubeconfig, namespace, ...how };
  const program = join(import.meta.dirname, "floor.ts");
  const { stdout } = await promisify(execFile)(process.execPath, [program, JSON.stringify(task)], {
    maxBuffer: 16 * 1024 * 1024,
  });
  const result: FloorResult = JSON.parse(stdout);
  return result;
}
