import type { KubeCall, KubeClient, KubeStream } from "./client.ts";
import { listPages } from "./list.ts";
import type { KubeObject } from "./object.ts";
import type { ResourceKind } from "./resource-path.ts";
import { resourcePath } from "./resource-path.ts";

/** One kind in one place, as the API server offers it: lists and watches with the same selection and the same form. */
export interface KindSource {
  /** Names the kind in messages, as in `connections.keystead.dev`. */
  readonly name: string;
  readonly action: string;
  list(
    pages: { page(objects: KubeObject[], odd: number): void; restart(): void },
    signal: AbortSignal,
  ): Promise<string>;
  /** Continues from a version. */
  watch(resourceVersion: string, seconds: number, signal: AbortSignal): Promise<KubeStream>;
  /** Streaming list (KEP-3157): the initial state as ADDED events up to a marked bookmark, then the changes. */
  watchList(seconds: number, signal: AbortSignal): Promise<KubeStream>;
}

/** Which objects, and how much of each. */
export interface KindSelection {
  readonly kind: ResourceKind;
  readonly namespace?: string | undefined;
  readonly query?: Readonly<Record<string, string>> | undefined;
  readonly metadataOnly?: boolean | undefined;
}

// With a fallback to the full form, for the rare server that knows no partial one.
const METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";
const METADATA_EVENTS = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";

/** Makes no call by itself. */
export function createKindSource(client: KubeClient, selection: KindSelection): KindSource {
  const { kind, namespace, query } = selection;
  const path = resourcePath(kind, { namespace });
  const metadataOnly = selection.metadataOnly === true;
  const watchCall = (seconds: number, signal: AbortSignal, more: Record<string, string>): KubeCall => ({
    method: "GET",
    path,
    query: { ...query, watch: "true", allowWatchBookmarks: "true", timeoutSeconds: String(seconds), ...more },
    ...(metadataOnly ? { accept: METADATA_EVENTS } : {}),
    signal,
  });
  return {
    name: kind.group === "" ? kind.plural : `${kind.plural}.${kind.group}`,
    action: `Watch of ${path}`,
    list: (pages, signal) =>
      listPages(client, { path, query, signal, ...(metadataOnly ? { accept: METADATA_LIST } : {}), ...pages }),
    watch: (resourceVersion, seconds, signal) => client.stream(watchCall(seconds, signal, { resourceVersion })),
    watchList: (seconds, signal) =>
      client.stream(watchCall(seconds, signal, { sendInitialEvents: "true", resourceVersionMatch: "NotOlderThan" })),
  };
}
