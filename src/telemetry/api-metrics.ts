import { metricsOf, type MetricsRegistry } from "./prometheus.ts";

/** Bounds in seconds: a read takes 1 to 5 ms, one that waits for a provider up to 30 s. */
const REQUEST_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

const AUTHENTICATION_CODES = [
  "missing_auth_header",
  "malformed_auth_header",
  "missing_environment_header",
  "invalid_secret_key_format",
  "unknown_account",
  "address_not_allowed",
];

/** Numbers of the HTTP API. */
export interface ApiMetrics {
  /** A request was answered. `route` is the pattern (`/connections/:connectionId`), never the path: ids would make endless series. */
  answered(route: string, status: number, seconds: number): void;
  /** A request was refused for its key, or for where it came from with it. */
  refused(code: string): void;
}

/** Registers the API's metrics; once for each process. */
export function createApiMetrics(registry: MetricsRegistry): ApiMetrics {
  const { counter, histogram } = metricsOf(registry);
  const duration = histogram(
    "keystead_api_request_duration_seconds",
    "Duration of an HTTP request in seconds, by route pattern and status.",
    ["route", "status"],
    REQUEST_SECONDS,
  );
  const refusals = counter(
    "keystead_api_authentication_failures_total",
    "Requests refused for their key, by error code.",
    ["code"],
  );
  for (const code of AUTHENTICATION_CODES) refusals.inc({ code }, 0);
  return {
    answered: (route, status, seconds) => duration.observe({ route, status }, seconds),
    refused: (code) => refusals.inc({ code }),
  };
}
