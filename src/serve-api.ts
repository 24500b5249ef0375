import { createApi } from "./api/api.ts";
import { readCertificate, watchCertificate } from "./api/certificate.ts";
import { createRequestLimits } from "./api/request-limits.ts";
import { loadConfig } from "./config.ts";
import { createOutbound } from "./outbound/outbound.ts";
import type { Part, Process } from "./serve.ts";
import { createApiMetrics } from "./telemetry/api-metrics.ts";
import { stopAuditingReads } from "./vault/stop-auditing-reads.ts";
import { createRequestCounter } from "./workers/request-counter.ts";
import { startWorker } from "./workers/worker.ts";

/** Serves the HTTP API until it is disposed. */
export async function startApiPart(shared: Process): Promise<Part> {
  const { log, readiness, cutOff } = shared;
  const { api: config, outbound: policy } = loadConfig(process.env, ["api", "outbound"]);
  const vault = config.auditReads ? shared.vault : await stopAuditingReads(shared.vault, "keystead api");
  if (!config.auditReads) log.warn({}, "reads of secrets are not recorded: KEYSTEAD_AUDIT_READS is off");
  const metrics = createApiMetrics(shared.registry);
  const limits = createRequestLimits(vault);
  const outbound = createOutbound(policy);
  const { trustedProxies, certificate: files } = config;
  const readyz = () => readiness.verdict();
  const certificate = files && (await readCertificate(files));
  const api = createApi({ vault, log, metrics, outbound, readyz, trustedProxies, limits, certificate, cutOff });
  const port = await api.listen(config);
  log.info({ port, tls: certificate !== undefined }, "the API is served");
  const watch =
    files && certificate && watchCertificate({ files, current: certificate, use: (renewed) => api.use(renewed), log });
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
      watch?.[Symbol.dispose]();
      await api[Symbol.asyncDispose]();
      outbound[Symbol.dispose]();
      await counter[Symbol.asyncDispose]();
    },
  };
}
