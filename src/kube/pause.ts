import { setTimeout as after } from "node:timers/promises";
import { aborted } from "./call-slots.ts";

/** Waits; rejects with `kube_call_aborted` as soon as `signal` fires. */
export async function pauseFor(ms: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await after(ms, undefined, signal === undefined ? {} : { signal });
  } catch {
    // The timer rejects for no other reason than the signal, whose own reason becomes the cause.
    throw aborted(signal);
  }
}
