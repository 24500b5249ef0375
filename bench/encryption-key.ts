import { createChildProcesses } from "../dev/processes/child-processes.ts";
import { makeScratchDirectory } from "../dev/processes/scratch-directory.ts";
import { createKeyEncryptionKeys, generateKeyEncryptionKey } from "../src/crypto/kek.ts";
import { Secret } from "../src/crypto/secret.ts";
import { openDatabase } from "../src/db/database.ts";
import { KeysteadError } from "../src/errors.ts";
import { openVault } from "../src/vault/vault.ts";
import { wrapDataKeys } from "../src/vault/wrap-data-keys.ts";
import { startMigratedDatabase } from "./support/arena.ts";
import { median } from "./support/measure.ts";
import { progress } from "./support/progress.ts";
import { fillEnvironments } from "./support/stored-connections.ts";
import type { Findings, Table } from "./support/table.ts";

const ENVIRONMENTS = 10_000;
/** Each adds one more key, so that each has all data keys to wrap. */
const ROUNDS = 3;

export const encryptionKey: Table = {
  name: "encryption-key",
  title: "Changing the encryption key",
  async run(): Promise<Findings> {
    const directory = await makeScratchDirectory();
    await using children = createChildProcesses(directory, true);
    const arena = await startMigratedDatabase(directory, children);
    progress(`storing ${ENVIRONMENTS} environments`);
    const keys = [await fillEnvironments(arena, ENVIRONMENTS)];
    await using database = openDatabase({ url: new Secret(arena.url), applicationName: "keystead bench" });
    const seconds: number[] = [];
    for (let round = 1; round <= ROUNDS; round += 1) {
      keys.unshift(generateKeyEncryptionKey());
      const [current, ...previous] = keys.map((text) => new Secret(text));
      const vault = await openVault({ database, keys: createKeyEncryptionKeys(current, previous) });
      let made = 0;
      const startedAt = performance.now();
      const progressOf = { missing: () => undefined, made: (count: number) => (made += count) };
      const { completed } = await wrapDataKeys(vault, progressOf, new AbortController().signal);
      seconds.push((performance.now() - startedAt) / 1_000);
      if (made !== ENVIRONMENTS || completed.length !== 1)
        throw new KeysteadError("internal_error", `${made} of ${ENVIRONMENTS} data keys were wrapped`);
    }
    const each = seconds.map((time) => (time / ENVIRONMENTS) * 1_000);
    return {
      rows: [
        ["", "data keys", "all", "each"],
        [
          "one process, start of its turn to the new key being known",
          String(ENVIRONMENTS),
          `${median(seconds).toFixed(2)} s`,
          `${median(each).toFixed(3)} ms`,
        ],
      ],
      checks: [{ what: "time for each environment", measured: median(each), limit: { under: 1 }, unit: " ms" }],
      method: [
        `${ENVIRONMENTS.toLocaleString("en")} environments with a data key each. ${ROUNDS} rounds, in each of which one more key is added and every data key wrapped under it by one process; the medians.`,
      ],
    };
  },
};
