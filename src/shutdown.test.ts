import { expect, test } from "vitest";
import { KeysteadError } from "./errors.ts";
import { createShutdown } from "./shutdown.ts";

const TIMES = { cutOffMs: 10, patientCutOffMs: 60_000, leaveMs: 20 };

/** A shutdown that is over in an instant, and the lines it wrote. */
function started() {
  const lines: { message: string; parts: unknown }[] = [];
  const write = (fields: object, message: string): void =>
    void lines.push({ message, parts: "parts" in fields ? fields.parts : undefined });
  return { shutdown: createShutdown({ warn: write, error: write }, TIMES), lines };
}

const never = (): Promise<void> => new Promise(() => undefined);

test("a part that waits is cut off and named, and one that has ended is not", async () => {
  const { shutdown, lines } = started();
  const waiting = {
    [Symbol.asyncDispose]: () =>
      new Promise<void>((resolve) => shutdown.cutOff.addEventListener("abort", () => resolve())),
  };
  shutdown.begin();
  await shutdown.named("quick", { [Symbol.asyncDispose]: async () => undefined })[Symbol.asyncDispose]();
  await shutdown.named("slow", waiting)[Symbol.asyncDispose]();
  shutdown[Symbol.dispose]();

  expect(lines).toEqual([{ message: "what these parts still waited for is cut off", parts: ["slow"] }]);
});

test("a part that does not even end when it is cut off is named and left behind", async () => {
  const { shutdown, lines } = started();
  shutdown.begin();
  void shutdown.named("stuck", { [Symbol.asyncDispose]: never })[Symbol.asyncDispose]();

  await shutdown.over;
  expect(lines.map(({ parts }) => parts)).toEqual([["stuck"], ["stuck"]]);
});

test("while callers wait for their answers nothing is cut off, and what else waits is as soon as they have them", async () => {
  const { shutdown, lines } = started();
  const answers = Promise.withResolvers<void>();
  shutdown.begin();
  const api = shutdown.named("api", { [Symbol.asyncDispose]: () => answers.promise }, { patient: true });
  const ending = api[Symbol.asyncDispose]();
  void shutdown.named("stuck", { [Symbol.asyncDispose]: never })[Symbol.asyncDispose]();
  // One that began later and where nobody is waited for.
  const later = started().shutdown;
  later.begin();
  await new Promise<void>((resolve) => later.cutOff.addEventListener("abort", () => resolve()));
  later[Symbol.dispose]();
  expect(shutdown.cutOff.aborted).toBe(false);

  answers.resolve();
  await ending;
  expect(shutdown.cutOff.aborted).toBe(true);
  await shutdown.over;
  expect(lines.map(({ parts }) => parts)).toEqual([["stuck"], ["stuck"]]);
});

test("callers who wait for ever are cut off in the end", async () => {
  const lines: unknown[] = [];
  const write = (fields: object): void => void lines.push(fields);
  using shutdown = createShutdown({ warn: write, error: write }, { ...TIMES, patientCutOffMs: 20 });
  shutdown.begin();
  void shutdown.named("api", { [Symbol.asyncDispose]: never }, { patient: true })[Symbol.asyncDispose]();
  await shutdown.over;
  expect(lines).toEqual([{ parts: ["api"] }, { parts: ["api"] }]);
});

test("a process that ends because of a failure still fails with it when a part is left behind", async () => {
  const { shutdown } = started();
  const failure = new KeysteadError("leadership_lost", "it was lost");
  shutdown.begin(failure);
  shutdown.begin();

  await expect(shutdown.over).rejects.toBe(failure);
});
