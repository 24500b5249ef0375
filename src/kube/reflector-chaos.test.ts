import * as fc from "fast-check";
import { expect, test } from "vitest";
import { eventually } from "../../test/support/eventually.ts";
import { startFaultServer } from "../../test/support/fault-server.ts";
import type { Fault, ModelServer } from "../../test/support/model-server.ts";
import { serveModel } from "../../test/support/model-server.ts";
import { createKubeClient } from "./client.ts";
import { splitKey } from "./object.ts";
import { startReflector } from "./reflector.ts";
import { SECRET } from "./resource-path.ts";

type Change = { readonly do: "put" | "remove"; readonly name: string };

type Step =
  | Change
  | { readonly do: "fault"; readonly fault: Fault }
  /** Lets requests come and go; how many is up to the machine, which is the point. */
  | { readonly do: "wait"; readonly ms: number }
  /** The watch is closed, and before the next one much has happened that may be forgotten already. */
  | { readonly do: "outage"; readonly changes: readonly Change[]; readonly forgotten: boolean };

const fault: fc.Arbitrary<Fault> = fc.oneof(
  fc.constant<Fault>({ kind: "reset" }),
  fc.constant<Fault>({ kind: "error frame" }),
  fc.record({ kind: fc.constant("refuse" as const), code: fc.constantFrom(429 as const, 500 as const, 503 as const) }),
  fc.record({ kind: fc.constant("cut" as const), bytes: fc.nat(600), hard: fc.boolean() }),
);

const change: fc.Arbitrary<Change> = fc.record({
  do: fc.constantFrom("put" as const, "put" as const, "remove" as const),
  name: fc.constantFrom("a", "b", "c", "d", "e"),
});

const outage: fc.Arbitrary<Step> = fc.record({
  do: fc.constant("outage" as const),
  changes: fc.array(change, { maxLength: 5 }),
  forgotten: fc.boolean(),
});

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: change },
  { weight: 2, arbitrary: outage },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("wait" as const), ms: fc.integer({ min: 1, max: 8 }) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("fault" as const), fault }) },
);

async function play(model: ModelServer, one: Step): Promise<void> {
  switch (one.do) {
    case "put":
      return model.put(one.name);
    case "remove":
      return model.remove(one.name);
    case "fault":
      return model.plan(one.fault);
    case "outage":
      model.closeWatches();
      for (const each of one.changes) await play(model, each);
      return one.forgotten ? model.compact() : undefined;
    case "wait":
      return new Promise((resolve) => {
        setTimeout(resolve, one.ms);
      });
  }
}

test("bad case 23: whatever breaks and in whatever order, the state ends up right and the handler heard the way to it", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
      await using server = await startFaultServer();
      const model = serveModel(server);
      await using client = createKubeClient(server.identity);
      const heard: Record<string, string> = {};
      const wrong: string[] = [];
      await using reflector = startReflector<string>({
        client,
        kind: SECRET,
        keep: (one) => one.metadata.resourceVersion,
        handler: {
          changed(key, now, before) {
            const { name } = splitKey(key);
            if (heard[name] !== before) wrong.push(`${name} was ${heard[name]}, not ${before}`);
            heard[name] = now;
          },
          deleted(key, last) {
            const { name } = splitKey(key);
            if (heard[name] !== last) wrong.push(`${name} was ${heard[name]}, not ${last}`);
            delete heard[name];
          },
        },
        timing: { backoffMs: 1, backoffCapMs: 4, reopenMs: 1 },
      });
      for (const one of steps) await play(model, one);
      await eventually(() => {
        expect(heard).toEqual(model.state());
        expect(
          Object.fromEntries([...reflector.keys()].map((key) => [splitKey(key).name, reflector.get(key)])),
        ).toEqual(heard);
      });
      expect(wrong).toEqual([]);
    }),
    { numRuns: 60, endOnFailure: true },
  );
});
