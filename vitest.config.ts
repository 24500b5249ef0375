import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["src/**/*.test.ts", "test/**/*.test.ts", "dev/**/*.test.ts", "bench/**/*.test.ts"],
    globalSetup: ["test/support/global-setup.ts"],
    // A claim about a real cluster waits for the cluster; a hang still ends.
    testTimeout: 60_000,
    hookTimeout: 120_000,
    pool: "forks",
    // Files spend their time waiting for child processes: four of them keep two cores busy.
    maxWorkers: 4,
    reporters: ["default", "./test/support/closing-line.ts"],
  },
});
