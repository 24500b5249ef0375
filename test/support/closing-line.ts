import { writeSync } from "node:fs";
import type { Reporter, TestModule } from "vitest/node";

/** What a run came to. */
export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/**
 * Prints `N passed, N failed, N skipped` as the very last line of a run, whatever else reports, and before it why tests
 * were skipped. Whoever reads only the last line must not be misled, so a file that cannot be loaded and an error outside
 * of any test count as failed.
 */
export default class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    const inState = (state: string): number => tests.filter((test) => test.result().state === state).length;
    const brokenFiles = modules.filter((module) => module.errors().length > 0).length;
    const counts = {
      passed: inState("passed"),
      failed: inState("failed") + brokenFiles + unhandledErrors.length,
      // "pending" is a test that never ran, because the run was cut short.
      skipped: inState("skipped") + inState("pending"),
    };
    const reasons = tests.flatMap((test) => {
      const result = test.result();
      return result.state === "skipped" && result.note ? [`skipped: ${test.fullName}: ${result.note}`] : [];
    });
    // Other reporters and vitest itself still print after this call; nothing prints after the process's exit handlers.
    process.once("exit", () => writeSync(1, `${[...reasons, closingLine(counts)].join("\n")}\n`));
  }
}

/** The line that scripts look for. */
export function closingLine(counts: Counts): string {
  return `${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`;
}
