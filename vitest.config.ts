import { defineConfig } from "vitest/config";
import { LongestFirst } from "./test/support/longest-first.ts";

export default defineConfig({
  test: {
    include: ["src/**/*.test.ts", "test/**/*.test.ts", "dev/**/*.test.ts", "bench/**/*.test.ts"],
    globalSetup: ["test/support/global-setup.ts"],
    // A claim about a real cluster waits for the cluster; a hang still ends.
    testTimeout: 60_000,
    hookTimeout: 120_000,
    pool: "forks",
    // A process and its modules for each file would cost as much as a fifth of all tests. Whatever a file changes, it puts back.
    isolate: false,
    // Files spend their time waiting for child processes: six of them keep two cores busy.
    maxWorkers: 6,
    sequence: { sequencer: LongestFirst },
    reporters: ["default", "./test/support/closing-line.ts"],
  },
});
