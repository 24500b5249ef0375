import { metricsOf, type MetricsRegistry } from "./prometheus.ts";

/** Bounds in seconds of one call: 1 ms on an idle server, 30 s when a call's deadline ends it. */
const CALL_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** Calls to the API server, under the names of client-go. `host` is the server's, as in `10.96.0.1:443`. */
export function createKubeClientMetrics(
  registry: MetricsRegistry,
  host: string,
): { attempted(method: string, code: string, seconds: number): void } {
  const { counter, histogram } = metricsOf(registry);
  const requests = counter(
    "rest_client_requests_total",
    "Calls to the API server by HTTP method, status code (or error code) and host.",
    ["code", "method", "host"],
  );
  const duration = histogram(
    "rest_client_request_duration_seconds",
    "Duration of a call to the API server in seconds, retries counted one by one.",
    ["verb", "host"],
    CALL_SECONDS,
  );
  for (const method of ["GET", "POST", "PATCH", "PUT", "DELETE"]) {
    requests.inc({ code: method === "POST" ? "201" : "200", method, host }, 0);
    duration.zero({ verb: method, host });
  }
  return {
    attempted(method, code, seconds) {
      requests.inc({ code, method, host });
      duration.observe({ verb: method, host }, seconds);
    },
  };
}
