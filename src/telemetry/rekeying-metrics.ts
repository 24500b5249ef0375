import { metricsOf, type MetricsRegistry } from "./prometheus.ts";

/** What the wrapping of data keys tells; the vault's has the same shape. */
export interface WrappingMetrics {
  missing(count: number): void;
  made(count: number): void;
}

/** What the replacement of data keys tells; the worker's has the same shape. */
export interface RekeyingMetrics {
  retired(count: number): void;
  reencrypted(count: number): void;
  destroyed(count: number): void;
}

/** The replacement of data keys, as seen by one process. */
export function createRekeyingMetrics(registry: MetricsRegistry): RekeyingMetrics {
  const { counter, gauge } = metricsOf(registry);
  const retired = gauge("keystead_data_keys_retired", "Replaced data keys that are not destroyed yet.", []);
  const reencrypted = counter(
    "keystead_reencrypted_values_total",
    "Values that this process took from a replaced data key to the new one.",
    [],
  );
  const destroyed = counter("keystead_data_keys_destroyed_total", "Data keys that this process destroyed.", []);
  retired.set({}, 0);
  reencrypted.inc({}, 0);
  destroyed.inc({}, 0);
  return {
    retired: (count) => retired.set({}, count),
    reencrypted: (count) => reencrypted.inc({}, count),
    destroyed: (count) => destroyed.inc({}, count),
  };
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
