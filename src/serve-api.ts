import { createApi } from "./api/api.ts";
import { loadConfig } from "./config.ts";
import type { Part, Process } from "./serve.ts";
import { createApiMetrics } from "./telemetry/api-metrics.ts";

/** Serves the HTTP API until it is disposed. */
export async function startApiPart({ vault, log, registry, readiness, cutOff }: Process): Promise<Part> {
  const { api: config } = loadConfig(process.env, ["api"]);
  const metrics = createApiMetrics(registry);
  const api = createApi({ vault, log, metrics, readyz: () => readiness.verdict(), cutOff });
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
