import type { KubeClient } from "../../src/kube/client.ts";
import { resourcePath } from "../../src/kube/resource-path.ts";
import { CONNECTION } from "../../src/resources/kinds.ts";
import { settledPasses, whenMetrics, type KeysteadProcess } from "./controller-process.ts";
import type { Metrics } from "./metrics.ts";

const WATCHED_KINDS = ["environments.keystead.dev", "integrations.keystead.dev", "connections.keystead.dev", "secrets"];

/** Whether the first list of every kind was read to its end. */
export function isListed(metrics: Metrics): boolean {
  return WATCHED_KINDS.every((kind) => metrics.total("keystead_watch_list_duration_seconds_count", { kind }) > 0);
}

/** Resolves when a controller that was just started has looked at every Connection there is, all of them settled. */
export async function whenIdle(controller: KeysteadProcess, admin: KubeClient): Promise<void> {
  const connections = await countConnections(admin);
  await whenMetrics(controller, (metrics) => isListed(metrics) && settledPasses(metrics) >= connections, {
    everyMs: 100,
    deadlineMs: 120_000,
  });
}

async function countConnections(admin: KubeClient): Promise<number> {
  const page = await admin.request<{ metadata: { remainingItemCount?: number }; items: readonly unknown[] }>({
    method: "GET",
    path: resourcePath(CONNECTION),
    query: { limit: "1" },
  });
  return page.items.length + (page.metadata.remainingItemCount ?? 0);
}
