import { createApi } from "./api/api.ts";
import { loadConfig } from "./config.ts";
import type { Part, Process } from "./serve.ts";
import { createApiMetrics } from "./telemetry/api-metrics.ts";
import { stopAuditingReads } from "./vault/stop-auditing-reads.ts";

/** Serves the HTTP API until it is disposed. */
export async function startApiPart({ vault: audited, log, registry, readiness, cutOff }: Process): Promise<Part> {
  const { api: config } = loadConfig(process.env, ["api"]);
  const vault = config.auditReads ? audited : await stopAuditingReads(audited, "keystead api");
  if (!config.auditReads) log.warn({}, "reads of secrets are not recorded: KEYSTEAD_AUDIT_READS is off");
  const metrics = createApiMetrics(registry);
  const { trustedProxies } = config;
  const api = createApi({ vault, log, metrics, readyz: () => readiness.verdict(), trustedProxies, cutOff });
  const port = await api.listen(config);
  log.info({ port }, "the API is served");
  return {
    // It goes on until somebody disposes it.
    ended: Promise.withResolvers<void>().promise,
    unhealthy: () => undefined,
    unready: () => undefined,
    [Symbol.asyncDispose]: () => api[Symbol.asyncDispose](),
  };
}
