import { BaseSequencer, type TestSpecification } from "vitest/node";

/**
 * Files that take a minute or more, mostly to wait for processes. Without a record of earlier runs files begin by their size,
 * and one of these, begun last, would run on alone.
 */
const LONGEST = [
  "test/crash-points.test.ts",
  "test/life-model.test.ts",
  "test/rotation.test.ts",
  "test/start.test.ts",
  "test/api-schema-fuzz.test.ts",
  "test/frozen-leader.test.ts",
] as const;

/** The usual order, but with the longest files at the front. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    // oxlint-disable-next-line unicorn/no-array-sort -- no array's
    const usual = await super.sort(files);
    const { long = [], other = [] } = Object.groupBy(usual, ({ moduleId }) =>
      LONGEST.some((file) => moduleId.endsWith(`/${file}`)) ? "long" : "other",
    );
    return [...long, ...other];
  }
}
