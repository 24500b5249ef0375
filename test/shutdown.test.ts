import { expect, inject, test } from "vitest";
import { loadIdentity } from "../src/kube/identity.ts";
import { startApiServerProxy } from "./support/api-server-proxy.ts";
import { applicationOf } from "./support/application.ts";
import { eventually } from "./support/eventually.ts";
import { createInstallation, type Installation } from "./support/keystead.ts";
import type { KeysteadProcess } from "./support/keystead-process.ts";
import { connection, environment, integration, secret } from "./support/resources.ts";
import { startSeverableProxy } from "./support/severable-proxy.ts";

// Told to end, a process ends with exit 0, whatever it waits for at that moment: what still waits after 5 s is cut off, and
// after 8 s it would leave that behind and say so (src/shutdown.ts).

const parents = { environment: "production", integration: "stripe" };

/** The way to an installation's database, and the variable that sends a process along it. */
async function wayTo({ database }: Installation) {
  const url = new URL(database.url);
  const wire = await startSeverableProxy({ host: url.hostname, port: Number(url.port) });
  url.port = String(wire.port);
  return { wire, DATABASE_URL: url.href, [Symbol.asyncDispose]: () => wire[Symbol.asyncDispose]() };
}

/** Waits until a pass is under way, which only the metrics show. */
async function passBegan(keystead: KeysteadProcess, kind: string): Promise<void> {
  const url = `${await keystead.metricsUrl()}/metrics`;
  await eventually(async () => {
    const text = await (await fetch(url)).text();
    expect(text).toMatch(new RegExp(`^controller_runtime_active_workers\\{controller="${kind}"\\} [1-9]`, "m"));
  });
}

test("with a database that answers nothing it cuts off what waits for it, gives the lease back and exits 0, told once or twice", async () => {
  await using installation = await createInstallation("shutdown");
  const { objects } = installation;
  await using way = await wayTo(installation);
  const { DATABASE_URL } = way;
  await objects.apply(
    environment("production"),
    integration("stripe", "production"),
    secret("acme", { token: "first" }),
    connection("acme", parents),
  );
  const keystead = installation.start("run", { DATABASE_URL });
  await objects.ready("connection/acme");
  const application = await applicationOf(installation, keystead, "production");

  way.wire.goDead();
  const read = application.credentials("acme", "stripe").catch(() => "cut off");
  await objects.apply(secret("acme", { token: "second" }));
  await passBegan(keystead, "connection");
  // A Ctrl-C that a terminal and npm both send, or somebody in haste.
  process.kill(keystead.pid, "SIGTERM");
  await keystead.logged("shutting down");
  expect(await keystead.end("SIGTERM")).toBe(0);

  expect([503, "cut off"]).toContain(await read);
  const cut = await keystead.logged("what these parts still waited for is cut off");
  // The workers as well, if one had begun something; and the API, if its read has not reached its own limit before.
  expect(cut["parts"]).toContain("controller");
  expect(keystead.output()).toContain("Gave the lease back");
  expect(keystead.output()).not.toContain("have not ended");
});

test("with the API server silent as well it exits 0, and the lease runs out by itself", async () => {
  await using installation = await createInstallation("shutdown");
  const { objects } = installation;
  await using way = await wayTo(installation);
  const { DATABASE_URL } = way;
  const { server } = await loadIdentity({ kubeconfig: inject("controlPlane").kubeconfig, env: {} });
  await using apiServer = await startApiServerProxy(server);
  const KUBECONFIG = apiServer.kubeconfigLike(installation.environment["KUBECONFIG"] ?? "");
  const keystead = installation.start("controller", { DATABASE_URL, KUBECONFIG });
  await objects.apply(environment("production"));
  await objects.ready("environment/production");

  way.wire.goDead();
  apiServer.decide(() => ({ delayMs: 15_000 }));
  await objects.patch("environment/production", { spec: { retention: "10d" } });
  await passBegan(keystead, "environment");
  expect(await keystead.end("SIGTERM")).toBe(0);
});

test("told to end while it waits for a database that accepts and never answers, it exits 0", async () => {
  await using installation = await createInstallation("shutdown");
  await using way = await wayTo(installation);
  const { DATABASE_URL } = way;
  way.wire.goDead();
  const keystead = installation.start("api", { DATABASE_URL });
  await keystead.logged("metrics and probes are served");

  expect(await keystead.end("SIGTERM")).toBe(0);
  expect(keystead.output()).not.toContain("the API is served");
});
