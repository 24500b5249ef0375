import { expect } from "vitest";
import type { OutboundLimits, OutboundRequest } from "../../src/outbound/outbound.ts";
import { type AllowEntry, parseAllowEntry } from "../../src/outbound/allow-list.ts";

/** The entries of a list as an operator writes it. */
export function allowing(list: string): AllowEntry[] {
  return list
    .split(",")
    .filter((text) => text !== "")
    .map((text) => parseAllowEntry(text) ?? expect.fail(`${text} is no entry`));
}

/** Far above what a test on loopback takes; a test of one limit sets that one. */
const LIMITS: OutboundLimits = { connectMs: 20_000, firstByteMs: 20_000, idleMs: 20_000, headerBytes: 16_384 };

/** A GET that follows redirects. */
export function get(
  url: string,
  change: Partial<Omit<OutboundRequest, "limits">> & { readonly limits?: Partial<OutboundLimits> } = {},
): OutboundRequest {
  return {
    method: "GET",
    url: new URL(url),
    headers: {},
    body: undefined,
    namespace: "shop",
    redirects: 5,
    ...change,
    limits: { ...LIMITS, ...change.limits },
  };
}
