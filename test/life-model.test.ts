import * as fc from "fast-check";
import { afterAll, test } from "vitest";
import { createInstallation } from "./support/keystead.ts";
import type { KeysteadProcess } from "./support/keystead-process.ts";
import { createLife, type Life, type LifeStep } from "./support/life.ts";

// Whatever users do to an Environment and two Connections, in whatever order and however often the controller dies
// meanwhile: they find what a small model of their expectations says.

/** What somebody does, and after how many changes of objects the controller is killed while it is under way, if at all. */
interface Step {
  readonly taken: LifeStep;
  readonly killedAfter: number | undefined;
}

/** KEYSTEAD_TEST_LIVES=50 for a run that means it; each takes three seconds on two idle cores. */
const LIVES = Number(process.env["KEYSTEAD_TEST_LIVES"] ?? 3);
const STEPS = 14;
const PATIENCE_MS = 120_000 + LIVES * 60_000;

const slot = fc.constantFrom("a" as const, "b" as const);
const taken = fc.oneof<fc.WeightedArbitrary<LifeStep>[]>(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom("apply environment", "delete environment", "restore environment", "rotate"),
    }),
  },
  { weight: 5, arbitrary: fc.record({ kind: fc.constantFrom("apply", "delete", "restore", "change"), slot }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("expire") }) },
);
const step = fc.record<Step>({
  taken,
  killedAfter: fc.oneof({ weight: 2, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: fc.nat({ max: 4 }) }),
});

const installation = await createInstallation("life");
const { history } = installation;
const api = await installation.apiOf(installation.start("api"));
let controller = startController();
let lives = 0;

afterAll(() => installation[Symbol.asyncDispose]());

/** With leader election each successor would wait 15 s for the lease of the dead one. */
function startController(): KeysteadProcess {
  return installation.start("controller", { KEYSTEAD_LEADER_ELECTION: "false" });
}

async function play(life: Life, { taken: one, killedAfter }: Step): Promise<void> {
  const done = life.take(one);
  if (killedAfter !== undefined) {
    await Promise.race([done, history.reached(history.count + killedAfter)]);
    await controller.end("SIGKILL");
    controller = startController();
  }
  await done;
  await life.expectModel();
}

test(
  "users find what they expect, whatever was applied, changed, deleted and restored, and whenever the controller died",
  { timeout: PATIENCE_MS },
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: STEPS, maxLength: STEPS }), async (steps) => {
        lives += 1;
        const life = createLife({ installation, api, name: String(lives) });
        await life.take({ kind: "apply environment" });
        await life.take({ kind: "apply", slot: "a" });
        for (const one of steps) await play(life, one);
      }),
      { numRuns: LIVES, endOnFailure: true },
    );
  },
);
