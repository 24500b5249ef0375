import { createApi } from "./api/api.ts";
import { createRequestLimits } from "./api/request-limits.ts";
import { loadConfig } from "./config.ts";
import type { Part, Process } from "./serve.ts";
import { createApiMetrics } from "./telemetry/api-metrics.ts";
import { stopAuditingReads } from "./vault/stop-auditing-reads.ts";
import { createRequestCounter } from "./workers/request-counter.ts";
import { startWorker } from "./workers/worker.ts";

/** Serves the HTTP API until it is disposed. */
export async function startApiPart(shared: Process): Promise<Part> {
  const { log, readiness, cutOff } = shared;
  const { api: config } = loadConfig(process.env, ["api"]);
  const vault = config.auditReads ? shared.vault : await stopAuditingReads(shared.vault, "keystead api");
  if (!config.auditReads) log.warn({}, "reads of secrets are not recorded: KEYSTEAD_AUDIT_READS is off");
  const metrics = createApiMetrics(shared.registry);
  const limits = createRequestLimits(vault);
  const { trustedProxies } = config;
  const api = createApi({ vault, log, metrics, readyz: () => readiness.verdict(), trustedProxies, limits, cutOff });
  const port = await api.listen(config);
  log.info({ port }, "the API is served");
  const counter = startWorker({
    ...createRequestCounter(() => limits.exchange()),
    metrics: shared.workerMetrics,
    log,
  });
  return {
    // It goes on until somebody disposes it.
    ended: Promise.withResolvers<void>().promise,
    unhealthy: () => undefined,
    unready: () => undefined,
    async [Symbol.asyncDispose]() {
      await api[Symbol.asyncDispose]();
      await counter[Symbol.asyncDispose]();
    },
  };
}
