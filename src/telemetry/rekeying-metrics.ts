import { metricsOf, type MetricsRegistry } from "./prometheus.ts";

/** What the wrapping of data keys tells; the vault's has the same shape. */
export interface WrappingMetrics {
  missing(count: number): void;
  made(count: number): void;
}

/** The change of the operator's key, as seen by one process. */
export function createWrappingMetrics(registry: MetricsRegistry): WrappingMetrics {
  const { counter, gauge } = metricsOf(registry);
  const missing = gauge(
    "keystead_data_key_wrappings_missing",
    "Wrappings of data keys under the configured encryption keys that are still to be made.",
    [],
  );
  const made = counter(
    "keystead_data_key_wrappings_total",
    "Wrappings of data keys that this process made for an encryption key that was added.",
    [],
  );
  missing.set({}, 0);
  made.inc({}, 0);
  return { missing: (count) => missing.set({}, count), made: (count) => made.inc({}, count) };
}
