import { hasCode, KeysteadError } from "../errors.ts";
import type { KubeClient } from "./client.ts";
import type { KubeObject } from "./object.ts";
import { isKubeObject } from "./object.ts";

/** What to list, and who takes the pages. */
export interface ListOptions {
  readonly path: string;
  readonly query?: Readonly<Record<string, string>> | undefined;
  readonly accept?: string;
  readonly signal?: AbortSignal;
  /** Objects of one page, in the order of their keys. Entries that are no objects are left out and counted in `odd`. */
  page(objects: KubeObject[], odd: number): void;
  /** The list starts over: everything given to `page` so far may be out of date. */
  restart?(): void;
}

/** As in client-go: a page of it costs the server little and 500 objects of a few KiB parse in some milliseconds. */
const PAGE_SIZE = 500;

/** Several hundred of the largest possible objects do not fit into this; then pages get smaller. */
const MAX_PAGE_BYTES = 32 * 1024 * 1024;

/** A continue token lives for about five minutes. Whoever loses it this often is too slow to ever finish. */
const MAX_RESTARTS = 3;

interface Page {
  readonly metadata?: { readonly resourceVersion?: unknown; readonly continue?: unknown };
  readonly items?: unknown;
}

/**
 * Lists a collection page by page, so that memory holds one page and not the collection. Resolves with the version to watch
 * from. When the token of the next page has expired (410), the list starts over.
 */
export async function listPages(client: KubeClient, options: ListOptions): Promise<string> {
  let limit = PAGE_SIZE;
  let token: string | undefined;
  for (let restarts = 0; ;) {
    let page: Page;
    try {
      page = await client.request<Page>(pageCall(options, limit, token));
    } catch (thrown) {
      if (hasCode(thrown, "kube_expired") && token !== undefined && restarts < MAX_RESTARTS) {
        restarts += 1;
        token = undefined;
        options.restart?.();
        continue;
      }
      if (hasCode(thrown, "kube_answer_too_large") && limit > 1) {
        limit = Math.ceil(limit / 4);
        continue;
      }
      throw thrown;
    }
    const { items, version, next } = readPage(options.path, page);
    const objects = items.filter(isKubeObject);
    options.page(objects, items.length - objects.length);
    if (next === "") return version;
    token = next;
  }
}

function pageCall(options: ListOptions, limit: number, token: string | undefined) {
  return {
    method: "GET" as const,
    path: options.path,
    query: { ...options.query, limit: String(limit), ...(token === undefined ? {} : { continue: token }) },
    ...(options.accept === undefined ? {} : { accept: options.accept }),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
    maxAnswerBytes: MAX_PAGE_BYTES,
  };
}

function readPage(path: string, page: Page): { items: readonly unknown[]; version: string; next: string } {
  const { resourceVersion, continue: next } = page.metadata ?? {};
  // Go writes an empty list as null in some servers.
  const items = page.items ?? [];
  if (typeof resourceVersion !== "string" || resourceVersion === "" || !Array.isArray(items)) {
    throw new KeysteadError("kube_answer_invalid", `GET ${path} was answered with something that is not a list`);
  }
  return { items, version: resourceVersion, next: typeof next === "string" ? next : "" };
}
