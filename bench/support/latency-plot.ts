import { linearScale, logScale, type Scale } from "./scale.ts";

/** Latencies at one rate. */
export interface LatencyPoint {
  readonly perSecond: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
}

/** A latency that is promised up to a rate. */
export interface LatencyLimit {
  readonly label: string;
  readonly perSecond: number;
  readonly milliseconds: number;
}

const WIDTH = 720;
const HEIGHT = 400;
const PLOT = { left: 76, right: WIDTH - 60, top: 52, bottom: HEIGHT - 60 };

/** GitHub shows the picture on a page of either colour. */
const STYLE = `
    text { fill: #1f2328; }
    .small { font-size: 12px; fill: #57606a; }
    .grid { stroke: #d0d7de; stroke-width: 1; }
    .limit { stroke: #57606a; stroke-width: 1.5; stroke-dasharray: 5 5; }
    .p50 { stroke: #0969da; } .p50-mark { fill: #0969da; }
    .p99 { stroke: #bc4c00; } .p99-mark { fill: #bc4c00; }
    .line { fill: none; stroke-width: 2; }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3; }
      .small { fill: #9198a1; }
      .grid { stroke: #30363d; }
      .limit { stroke: #9198a1; }
      .p50 { stroke: #58a6ff; } .p50-mark { fill: #58a6ff; }
      .p99 { stroke: #f0883e; } .p99-mark { fill: #f0883e; }
    }
  `;

/** An SVG document: p50 and p99 over the rate, milliseconds in decades. */
export function latencyPlot(title: string, points: readonly LatencyPoint[], limit: LatencyLimit): string {
  const latencies = points.flatMap(({ p50, p99 }) => [p50, p99]);
  const x = linearScale(Math.max(...points.map(({ perSecond }) => perSecond)), { from: PLOT.left, to: PLOT.right });
  const y = logScale(Math.min(...latencies), Math.max(...latencies, limit.milliseconds), {
    from: PLOT.bottom,
    to: PLOT.top,
  });
  const limitAt = round(y.place(limit.milliseconds));
  const limitEnds = round(x.place(limit.perSecond));
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-labelledby="title" font-family="system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif" font-size="14">
  <title id="title">${title}</title>
  <style>${STYLE}</style>
  <text x="${PLOT.left}" y="24" font-weight="600">${title}</text>
${grid(x, y)}
  <path class="limit" d="M${PLOT.left} ${limitAt}H${limitEnds}"/>
  <text class="small" x="${PLOT.left + 6}" y="${limitAt - 6}">${limit.label}</text>
${line("p50", points, x, y)}
${line("p99", points, x, y)}
</svg>
`;
}

function grid(x: Scale, y: Scale): string {
  const rates = x.ticks.map((tick) => {
    const at = round(x.place(tick));
    return `  <text class="small" x="${at}" y="${PLOT.bottom + 20}" text-anchor="middle">${tick.toLocaleString("en")}</text>`;
  });
  const latencies = y.ticks.map((tick) => {
    const at = round(y.place(tick));
    return `  <path class="grid" d="M${PLOT.left} ${at}H${PLOT.right}"/>
  <text class="small" x="${PLOT.left - 8}" y="${at + 4}" text-anchor="end">${tick} ms</text>`;
  });
  const middle = (PLOT.left + PLOT.right) / 2;
  return `${[...latencies, ...rates].join("\n")}
  <text x="${middle}" y="${HEIGHT - 14}" text-anchor="middle">requests a second</text>
  <text x="18" y="${(PLOT.top + PLOT.bottom) / 2}" text-anchor="middle" transform="rotate(-90 18 ${(PLOT.top + PLOT.bottom) / 2})">latency</text>`;
}

/** Where the names of the lines stand beside their last points, which may be one above the other. */
const NAME_BELOW = { p50: 14, p99: -2 };

/** One percentile, with its name behind the last point: a legend would have to be matched by colour. */
function line(name: "p50" | "p99", points: readonly LatencyPoint[], x: Scale, y: Scale): string {
  const places = points.map((point) => ({ x: round(x.place(point.perSecond)), y: round(y.place(point[name])) }));
  const marks = places.map((place) => `<circle class="${name}-mark" cx="${place.x}" cy="${place.y}" r="4"/>`);
  const last = places.at(-1) ?? { x: 0, y: 0 };
  return `  <path class="line ${name}" d="M${places.map((place) => `${place.x} ${place.y}`).join("L")}"/>
  ${marks.join("")}
  <text class="${name}-mark" x="${last.x + 10}" y="${last.y + NAME_BELOW[name]}" font-weight="600">${name}</text>`;
}

/** Tenths of a pixel are more than anybody sees. */
function round(pixels: number): number {
  return Math.round(pixels * 10) / 10;
}
