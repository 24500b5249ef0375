import { expect, test } from "vitest";
import { KeysteadError } from "./errors.ts";
import { createShutdown } from "./shutdown.ts";

/** A shutdown that is over in an instant, and the lines it wrote. */
function started() {
  const lines: { message: string; parts: unknown }[] = [];
  const write = (fields: object, message: string): void =>
    void lines.push({ message, parts: "parts" in fields ? fields.parts : undefined });
  return { shutdown: createShutdown({ warn: write, error: write }, { cutOffMs: 10, overMs: 30 }), lines };
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

test("a process that ends because of a failure still fails with it when a part is left behind", async () => {
  const { shutdown } = started();
  const failure = new KeysteadError("leadership_lost", "it was lost");
  shutdown.begin(failure);
  shutdown.begin();

  await expect(shutdown.over).rejects.toBe(failure);
});
