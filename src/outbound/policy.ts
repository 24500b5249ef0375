import { reachOf, plainAddress } from "./address.ts";
import { type AllowEntry, isFor, listsAddress, listsExactly, listsHost } from "./allow-list.ts";

/** Where a call is to go, with every address that its host name has. */
export interface Target {
  /** As `URL.hostname` has it, without brackets and in lower case. */
  readonly hostname: string;
  readonly secure: boolean;
  readonly addresses: readonly string[];
  /** Namespace of the resource that asks for the call. */
  readonly namespace: string | undefined;
}

/** `refused` says why, in words that name no address: what a name means inside a cluster is not for callers. */
export type PolicyVerdict = { readonly kind: "allowed" } | { readonly kind: "refused"; readonly why: string };

/**
 * Whether the call may be made. One address that is not allowed refuses the whole name: else whoever answers for the
 * name would only have to mix them. Pure.
 */
export function judge(allow: readonly AllowEntry[], target: Target): PolicyVerdict {
  const entries = allow.filter((entry) => isFor(entry, target.namespace));
  const hostListed = entries.some((entry) => listsHost(entry, target.hostname));
  for (const address of target.addresses) {
    const why = complaintAbout(entries, address, hostListed, target.secure);
    if (why !== undefined) return { kind: "refused", why };
  }
  if (target.addresses.length === 0) return { kind: "refused", why: "it has no address" };
  return { kind: "allowed" };
}

function complaintAbout(
  entries: readonly AllowEntry[],
  address: string,
  hostListed: boolean,
  secure: boolean,
): string | undefined {
  const plain = plainAddress(address);
  if (plain === undefined) return "what its name stands for is no address";
  const listed = hostListed || entries.some((entry) => listsAddress(entry, plain));
  const reach = reachOf(address);
  if (reach === "guarded") {
    if (entries.some((entry) => listsExactly(entry, plain))) return undefined;
    return "it is link-local or a cloud's metadata service, which has to be listed by its exact address";
  }
  if (reach === "private" && !listed) return "it is not on the public internet and is not listed";
  if (!secure && !listed) return "plain http goes only to what is listed";
  return undefined;
}
