import { setTimeout as delay } from "node:timers/promises";
import { loadConfig } from "./config.ts";
import { type Controller, startController } from "./controllers/controller.ts";
import { asKeysteadError } from "./errors.ts";
import { createKubeClient, type KubeClient } from "./kube/client.ts";
import { createEventRecorder } from "./kube/event-recorder.ts";
import { loadIdentity } from "./kube/identity.ts";
import { campaign } from "./kube/leader-election.ts";
import type { KubeObject } from "./kube/object.ts";
import { NAMESPACE, resourcePath } from "./kube/resource-path.ts";
import { collectGarbage } from "./heap.ts";
import type { Part, Process } from "./serve.ts";
import { createControllerMetrics } from "./telemetry/controller-metrics.ts";
import { createKubeClientMetrics } from "./telemetry/kube-metrics.ts";
import type { Log } from "./telemetry/log.ts";
import { createQueueMetrics } from "./telemetry/queue-metrics.ts";
import { OUTAGE_GRACE_MS } from "./telemetry/readiness.ts";
import { createSweepMetrics } from "./telemetry/sweep-metrics.ts";
import { createWatchMetrics } from "./telemetry/watch-metrics.ts";
import { createReign } from "./vault/reign.ts";
import { createReigningVault } from "./vault/reigning-vault.ts";
import { VERSION } from "./version.ts";
import { startWorker } from "./workers/worker.ts";

/** Its uid names the cluster in the database: of all objects it is the one that lives as long as the cluster. */
const CLUSTER_NAMESPACE = "kube-system";

/** Kinds as the watch metrics name them. */
const WATCHED = [
  "environments.keystead.dev",
  "integrations.keystead.dev",
  "connections.keystead.dev",
  "secrets",
  "serviceaccounts",
];

/** How often the leader looks for what no event tells of: a small query each time, and one more while a sweep is stopped. */
const LOOK_INTERVAL_MS = 10_000;

/** Pause between two attempts at what has to work before anything else can. */
const RETRY_MS = 2_000;

/**
 * Watches from the start, and reconciles once this process holds the Lease and has begun its reign in the database. Losing
 * one of them rejects `ended`. Undefined when the process is to end before the API server has answered.
 */
export async function startControllerPart(shared: Process, host: string): Promise<Part | undefined> {
  const { log, registry, vault, signal, cutOff, config } = shared;
  const { controller: settings } = loadConfig(process.env, ["controller"]);
  const identity = await loadIdentity({ kubeconfig: settings.kubeconfig, env: process.env });
  const server = `${identity.server.host}:${identity.server.port}`;
  const metrics = createControllerMetrics(registry);

  await using starting = new AsyncDisposableStack();
  const client = starting.use(
    createKubeClient(identity, {
      userAgent: `keystead/${VERSION}`,
      metrics: createKubeClientMetrics(registry, server),
    }),
  );
  const cluster = await clusterUid(client, log, signal);
  if (cluster === undefined) return undefined;
  log.info({ server, cluster }, "the API server answers");
  // A restarted process is somebody else, also where the host name stays.
  const instance = `${host}_${process.pid}_${Date.now().toString(36)}`;
  const events = starting.use(
    createEventRecorder(client, { controller: "keystead.dev/controller", instance, metrics, log, cutOff }),
  );
  const { release } = config.installation;
  const reign = createReign(vault.database, { cluster, release, holder: instance });
  const controller = starting.use(
    startController({
      client,
      vault: createReigningVault(vault, reign),
      events,
      cluster,
      release,
      serviceUrl: config.installation.serviceUrl,
      namespaces: settings.watchNamespaces,
      concurrency: settings.concurrency,
      log,
      sweepMetrics: createSweepMetrics(registry),
      metrics: {
        queue: createQueueMetrics(registry, ["environment", "integration", "connection"]),
        reflector: createWatchMetrics(registry, WATCHED),
        reconciles: (name, concurrency) => metrics.reconciles(name, concurrency),
      },
    }),
  );

  const stop = new AbortController();
  const lead = async (leading: AbortSignal): Promise<void> => {
    await using looking = new AsyncDisposableStack();
    const work = async (): Promise<void> => {
      // Before any row is read: what an earlier leader was writing is there now or never will be.
      const number = await untilItWorks(() => reign.begin(), "the reign cannot begin yet", log, leading);
      if (number === undefined) return;
      log.info({ reign: number }, "the reign has begun");
      await controller.work(leading);
      collectGarbage();
      log.info("caught up with what was there at the start");
      looking.use(startLooking(controller, log));
      await untilAborted(leading);
    };
    try {
      await Promise.race([untilAborted(leading), work(), reign.over]);
    } finally {
      // Whoever lost the lease may have a successor in a moment: its passes are broken off, not waited for.
      await controller.drain(stop.signal.aborted ? cutOff : AbortSignal.abort());
    }
  };
  const lease = `${release}-controller`;
  metrics.leading(lease, false);
  // When the API server last said who leads. Where nobody has to ask it is not looked at.
  let leaseAt = performance.now();
  const ended = settings.leaderElection
    ? campaign(client, {
        namespace: settings.namespace ?? identity.namespace,
        name: lease,
        identity: instance,
        signal: stop.signal,
        metrics,
        log,
        lead,
        answered() {
          leaseAt = performance.now();
        },
      })
    : lead(stop.signal);
  // Whoever waits for it hears of it; a rejection before that must not end the process by itself.
  ended.catch(() => undefined);

  const running = starting.move();
  return {
    ended,
    unhealthy: () => controller.unhealthy(performance.now()),
    unready() {
      const now = performance.now();
      if (!settings.leaderElection || now - leaseAt <= OUTAGE_GRACE_MS) return controller.unready(now);
      return `the Lease ${lease} could not be read for more than ${OUTAGE_GRACE_MS / 1_000} s; the log says why`;
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      // A lost lease was reported already; here only the end counts.
      await ended.catch(() => undefined);
      await running[Symbol.asyncDispose]();
    },
  };
}

/** What it does is told by metrics of its own, so those of workers have nothing to add. */
function startLooking(controller: Controller, log: Log): AsyncDisposable {
  return startWorker({
    name: "look around",
    intervalMs: LOOK_INTERVAL_MS,
    run: (ending) => controller.look(ending),
    metrics: { started: () => () => undefined },
    log,
  });
}

/** Waits for the API server as long as it takes. Undefined when the process is to end before. */
async function clusterUid(client: KubeClient, log: Log, signal: AbortSignal): Promise<string | undefined> {
  const path = resourcePath(NAMESPACE, { name: CLUSTER_NAMESPACE });
  const ask = (): Promise<KubeObject> => client.request<KubeObject>({ method: "GET", path, signal });
  return (await untilItWorks(ask, "the API server does not answer yet", log, signal))?.metadata.uid;
}

/** Repeats it as long as it takes, and says why. Undefined when `signal` fires before. Throws what does not pass by itself. */
async function untilItWorks<T>(
  attempt: () => Promise<T>,
  trouble: string,
  log: Log,
  signal: AbortSignal,
): Promise<T | undefined> {
  while (!signal.aborted) {
    try {
      return await attempt();
    } catch (thrown) {
      const error = asKeysteadError(thrown);
      if (!error.retryable) throw error;
      if (signal.aborted) break;
      log.warn({ error }, `${trouble}; trying again`);
      await delay(RETRY_MS, undefined, { signal }).catch(() => undefined);
    }
  }
  return undefined;
}

function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
