import { expect, inject, test } from "vitest";
import { objectsOf } from "./support/cluster.ts";
import { query } from "./support/database.ts";
import { createInstallation } from "./support/keystead.ts";
import { canary } from "./support/leaks.ts";
import { connection, environment, integration, secret } from "./support/resources.ts";
import { createNamespace, kubectl } from "./support/servers.ts";

// A namespace that is deleted with everything in it never hangs because of us. The controller lives in another one.

test(
  "bad case 26: a namespace full of our resources is gone when kubectl delete returns, and all its rows are deleted",
  { timeout: 120_000 },
  async (context) => {
    const { controllerManager } = inject("controlPlane");
    context.skip(!controllerManager, "this control plane has no controller manager, which empties namespaces");
    await using installation = await createInstallation("host");
    const victim = await createNamespace("victim");
    const objects = objectsOf(installation.objects.client, victim.name);
    const controller = installation.start("controller", { KEYSTEAD_WATCH_NAMESPACES: victim.name });
    const parents = { environment: "production", integration: "stripe" };
    await objects.apply(
      environment("production"),
      environment("suspended", { suspend: true }),
      integration("stripe", "production"),
      secret("acme", { token: canary("acme") }),
      ...["a", "b", "c"].map((name) =>
        connection(name, parents, { credentials: { apiKey: { apiKeyRef: { name: "acme", key: "token" } } } }),
      ),
      connection("waiting", parents),
      environment("erased", { deletionPolicy: "Purge" }),
      ...["Purge", "Orphan"].map((deletionPolicy) =>
        connection(deletionPolicy.toLowerCase(), parents, {
          credentials: { apiKey: { apiKeyRef: { name: "acme", key: "token" } } },
          deletionPolicy,
        }),
      ),
    );
    await objects.ready("connection/a", "connection/b", "connection/c", "connection/purge", "connection/orphan");
    await objects.apply(
      secret("stalled", { token: canary("stalled") }),
      connection("stalled", parents, { connectionId: "a" }),
    );
    await objects.reach("connection/stalled", "Ready=False ConnectionIdInUse", "Stalled=True ConnectionIdInUse");

    await objects.delete("secret/acme");
    await objects.reach("connection/a", "Ready=True Succeeded", "Reconciling=True SecretNotFound");

    await kubectl(["delete", "namespace", victim.name, "--timeout=100s"]);

    const left = await query<{ left: number }>(
      installation.database.ownerUrl,
      `select ((select count(*) from keystead.connections where deleted_at is null)
           + (select count(*) from keystead.integrations where deleted_at is null)
           + (select count(*) from keystead.environments where deleted_at is null))::int as left`,
    );
    expect(left).toEqual([{ left: 0 }]);
    expect(controller.output(), "a refused event of a namespace on its way out is no news").not.toContain(
      '"level":"warn"',
    );
  },
);
