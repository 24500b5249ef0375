/** A scrape of a process's metrics. */
export interface Metrics {
  /** Sum of the samples of that name whose labels include these. */
  total(name: string, labels?: Readonly<Record<string, string>>): number;
}

/** Scrapes; undefined where nothing answers (yet). */
export async function readMetrics(url: string): Promise<Metrics | undefined> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(5_000) });
    return answer.ok ? parseMetrics(await answer.text()) : undefined;
  } catch {
    // Not listening yet, or too busy: whoever waits asks again.
    return undefined;
  }
}

/** Prometheus' text format, as far as counters and gauges need it. */
function parseMetrics(text: string): Metrics {
  const samples = [...text.matchAll(/^(\w+)(?:\{(.*)\})? (\S+)$/gm)].map(([, name, labels = "", value]) => ({
    name,
    labels,
    value: Number(value),
  }));
  return {
    total(name, labels = {}) {
      const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
      const found = samples.filter((one) => one.name === name && wanted.every((label) => one.labels.includes(label)));
      return found.reduce((total, { value }) => total + value, 0);
    },
  };
}
