/** Where the axis of a plot begins and ends, in pixels; y grows downwards. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** An axis: places for values, and those values that are written beside it. */
export interface Scale {
  readonly ticks: readonly number[];
  /** Pixels. */
  readonly place: (value: number) => number;
}

/** Steps between ticks that people can count in, times a power of ten. */
const STEPS = [1, 2, 2.5, 5, 10];

/** Ticks of a linear axis, at least this many steps. */
const MIN_STEPS = 4;

/** From 0 to the first tick at or above the highest value. */
export function linearScale(highest: number, span: Span): Scale {
  const step = stepOf(highest);
  const steps = Math.ceil(highest / step);
  const ticks = Array.from({ length: steps + 1 }, (_, index) => index * step);
  return { ticks, place: (value) => along(span, value / (steps * step)) };
}

/** The largest countable step of which `MIN_STEPS` fit. */
function stepOf(highest: number): number {
  const rough = highest / MIN_STEPS;
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * (STEPS.findLast((step) => step * power <= rough) ?? 1);
}

/** From the power of ten at or below the lowest value to that at or above the highest; at least one decade. */
export function logScale(lowest: number, highest: number, span: Span): Scale {
  const first = Math.floor(Math.log10(lowest));
  const last = Math.max(first + 1, Math.ceil(Math.log10(highest)));
  const ticks = Array.from({ length: last - first + 1 }, (_, index) => 10 ** (first + index));
  return { ticks, place: (value) => along(span, (Math.log10(value) - first) / (last - first)) };
}

function along({ from, to }: Span, share: number): number {
  return from + share * (to - from);
}
