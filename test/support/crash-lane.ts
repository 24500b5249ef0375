import { randomBytes } from "node:crypto";
import { inject } from "vitest";
import { loadIdentity } from "../../src/kube/identity.ts";
import { NAMESPACE, resourcePath } from "../../src/kube/resource-path.ts";
import { administrator, objectsOf } from "./cluster.ts";
import { breachesIn, versionsIn } from "./crash-invariants.ts";
import { createPlace, type Place } from "./crash-place.ts";
import type { Scenario } from "./crash-scenario.ts";
import { type CrashPoint, startCrashWire } from "./crash-wire.ts";
import { createInstallation } from "./keystead.ts";
import type { KeysteadProcess } from "./keystead-process.ts";

/** How one play of a scenario went. */
export interface Played {
  /** What the controller sent from the act on until all was done, or until it was killed. */
  readonly messages: readonly string[];
  /** Whether it was killed at the point; otherwise all was done before that, and it was killed then. */
  readonly struck: boolean;
  /** What does not hold afterwards. */
  readonly breaches: readonly string[];
}

/** One controller after the other, on a database of their own, each killed in the middle of a scenario. */
export interface Lane extends AsyncDisposable {
  /**
   * Plays the scenario in a namespace of its own, kills the controller at the point (or when all is done), starts the next
   * one, waits until all is done, and looks whether everything holds: there, and in the place before, which was settled
   * and must not have been touched by a controller that only started again.
   */
  play(scenario: Scenario, point?: CrashPoint): Promise<Played>;
}

const CAUGHT_UP = "caught up with what was there at the start";

/** A place that was settled, and how it looked. */
interface Settled {
  readonly place: Place;
  readonly versions: readonly string[];
}

export async function createLane(name: string): Promise<Lane> {
  await using stack = new AsyncDisposableStack();
  const installation = stack.use(await createInstallation(name));
  const client = stack.use(await administrator());
  const { server } = await loadIdentity({ kubeconfig: inject("controlPlane").kubeconfig, env: {} });
  const { database, environment } = installation;
  const wire = stack.use(
    await startCrashWire({ server, kubeconfig: environment["KUBECONFIG"] ?? "", databaseUrl: database.url }),
  );
  let encryptionKey = environment["KEYSTEAD_ENCRYPTION_KEY"] ?? "";
  let previousKey: string | undefined;

  /** Left behind: the control plane ends with the run, and emptying a namespace costs more than the play in it. */
  async function newPlace(): Promise<Place> {
    places += 1;
    const namespace = `${installation.namespace}-${places}`;
    await client.request({
      method: "POST",
      path: resourcePath(NAMESPACE, {}),
      body: { metadata: { name: namespace } },
    });
    return createPlace({
      namespace,
      objects: objectsOf(client, namespace),
      ownerUrl: database.ownerUrl,
      databaseUrl: database.url,
      encryptionKey: () => encryptionKey,
    });
  }

  /** Leader election would keep each of them waiting for the lease of the dead one. */
  function start(...watched: (Place | undefined)[]): KeysteadProcess {
    return installation.start("controller", {
      DATABASE_URL: wire.databaseUrl,
      KUBECONFIG: wire.kubeconfig,
      KEYSTEAD_LEADER_ELECTION: "false",
      KEYSTEAD_WATCH_NAMESPACES: watched.flatMap((place) => place?.namespace ?? []).join(","),
      KEYSTEAD_ENCRYPTION_KEY: encryptionKey,
      ...(previousKey !== undefined && { KEYSTEAD_PREVIOUS_ENCRYPTION_KEYS: previousKey }),
    });
  }

  let places = 0;
  let next = await newPlace();
  let before: Settled | undefined;
  let controller = start(next);
  await controller.logged(CAUGHT_UP);
  // Ended in peace once, so that what it compiled is kept for the others.
  await controller.end();
  controller = start(next);
  await controller.logged(CAUGHT_UP);

  /** Does it, and resolves when it is done; the controller is started again in the middle where the scenario says so. */
  async function act(scenario: Scenario, place: Place, arm: () => void): Promise<void> {
    if (!scenario.restarts) {
      arm();
      await scenario.act(place);
    } else {
      await scenario.act(place);
      await controller.end("SIGKILL");
      if (scenario.restarts === "with a new encryption key") {
        previousKey = encryptionKey;
        encryptionKey = randomBytes(32).toString("base64");
      }
      arm();
      controller = start(place, next);
    }
    await scenario.settled(place);
  }

  async function play(scenario: Scenario, point?: CrashPoint): Promise<Played> {
    const place = next;
    next = await newPlace();
    await scenario.arrange?.(place);
    const strike = Promise.withResolvers<true>();
    const arm = (): void =>
      wire.arm(point, () => {
        process.kill(controller.pid, "SIGKILL");
        strike.resolve(true);
      });
    const done = act(scenario, place, arm);
    const struck = await Promise.race([strike.promise, done.then(() => false)]);
    const { messages } = wire;
    await controller.end("SIGKILL");

    wire.arm();
    controller = start(before?.place, place, next);
    await controller.logged(CAUGHT_UP);
    await done;
    await scenario.settled(place);
    await scenario.holds(place);
    const breaches = await breachesIn(place);
    if (before) breaches.push(...movesSince(before.versions, await versionsIn(before.place)));
    before = { place, versions: await versionsIn(place) };
    return { messages, struck, breaches };
  }

  const owned = stack.move();
  return {
    async play(scenario, point) {
      try {
        return await play(scenario, point);
      } catch (error) {
        // The next play begins anew, in a namespace that this controller does not know.
        await controller.end("SIGKILL");
        [before, next] = [undefined, await newPlace()];
        wire.arm();
        controller = start(next);
        await controller.logged(CAUGHT_UP);
        return { messages: wire.messages, struck: true, breaches: [String(error)] };
      }
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function movesSince(before: readonly string[], now: readonly string[]): string[] {
  const moved = now.filter((version) => !before.includes(version));
  return moved.map((version) => `the next start changed what was settled: ${version}`);
}
