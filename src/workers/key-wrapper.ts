import type { Vault } from "../vault/context.ts";
import { wrapDataKeys, type WrappingProgress } from "../vault/wrap-data-keys.ts";
import type { WorkerOptions } from "./worker.ts";

/** What the worker needs of its process. */
interface KeyWrapperDeps {
  readonly vault: Pick<Vault, "database" | "keys">;
  readonly log: WorkerOptions["log"];
  readonly metrics: WrappingProgress;
}

/**
 * A key that was just configured is at work within seconds of the start. Later turns look for data keys that were made by
 * a process with other settings, and note that the keys are still configured.
 */
const INTERVAL_MS = 60_000;

/** Keeps every data key wrapped under all keys that this process has. */
export function createKeyWrapper({ vault, log, metrics }: KeyWrapperDeps): Omit<WorkerOptions, "metrics" | "log"> {
  let told = "";
  return {
    name: "key-wrapper",
    intervalMs: INTERVAL_MS,
    async run(signal) {
      const { completed, unreadable, retired } = await wrapDataKeys(vault, metrics, signal);
      for (const key of completed) log.info({ key }, "every data key is wrapped under this encryption key");
      // Once for each change: it stays so until somebody edits a setting.
      const trouble = `${unreadable} ${retired.join(" ")}`;
      if (trouble === told) return;
      told = trouble;
      if (retired.length > 0)
        log.warn({ keys: retired }, "these encryption keys were retired: remove them from the settings");
      if (unreadable > 0) log.warn({ dataKeys: unreadable }, "no configured encryption key opens these data keys");
    },
  };
}
