import { startArena, type Arena } from "./arena.ts";
import { settledPasses, startController, whenMetrics } from "./controller-process.ts";
import { createConnections, createNamespace, createParents, namesOf } from "./population.ts";
import { progress } from "./progress.ts";
import type { Session } from "./table.ts";

/** Connections of the arena that tables share, and where they are. */
export const POPULATION = 10_000;
const POPULATION_NAMESPACE = "population";

/** One run of the bench. Disposing it ends all its servers. */
export function createSession({
  steadyMinutes,
  purgeRows,
}: Pick<Session, "steadyMinutes" | "purgeRows">): Session & AsyncDisposable {
  const stack = new AsyncDisposableStack();
  let shared: Promise<Arena> | undefined;
  let settled = false;

  const populated = async (): Promise<Arena> => {
    const arena = stack.use(await startArena());
    progress(`making ${POPULATION} Connections with a Secret each`);
    await createNamespace(arena.admin, POPULATION_NAMESPACE);
    await createParents(arena.admin, POPULATION_NAMESPACE);
    await createConnections(arena.admin, POPULATION_NAMESPACE, namesOf("connection", POPULATION));
    return arena;
  };
  const sharedArena = (): Promise<Arena> => {
    shared ??= populated();
    return shared;
  };

  return {
    steadyMinutes,
    purgeRows,
    freshArena: startArena,
    waitingArena: sharedArena,
    async settledArena() {
      const arena = await sharedArena();
      if (settled) return arena;
      progress("letting a controller make all Connections Ready");
      const controller = await startController(arena);
      await whenMetrics(controller, (metrics) => settledPasses(metrics) >= POPULATION, {
        everyMs: 200,
        deadlineMs: 300_000,
      });
      await controller.child.stop();
      settled = true;
      return arena;
    },
    [Symbol.asyncDispose]: () => stack[Symbol.asyncDispose](),
  };
}
