import { expect, inject, test } from "vitest";
import { loadIdentity } from "../src/kube/identity.ts";
import { startApiServerProxy } from "./support/api-server-proxy.ts";
import { eventually } from "./support/eventually.ts";
import { createInstallation } from "./support/keystead.ts";
import type { KeysteadProcess } from "./support/keystead-process.ts";

// What nobody should have to find out: a controller that looks well and does nothing. Its probes say so.

/** Status and text of a probe. */
async function probe(process: KeysteadProcess, path: "/livez" | "/readyz"): Promise<string> {
  const answer = await fetch((await process.metricsUrl()) + path);
  return `${answer.status} ${(await answer.text()).trim()}`;
}

test("a controller is ready when it knows its objects, says what it lacks before, and a restart is never asked for", async () => {
  await using installation = await createInstallation("ready");
  const { server } = await loadIdentity({ kubeconfig: inject("controlPlane").kubeconfig, env: {} });
  await using apiServer = await startApiServerProxy(server);
  const KUBECONFIG = apiServer.kubeconfigLike(installation.environment["KUBECONFIG"] ?? "");
  apiServer.sever();
  const controller = installation.start("controller", { KUBECONFIG });
  await controller.logged("the API server does not answer yet; trying again");
  expect(await probe(controller, "/readyz")).toMatch(/^503 .*the controller has not started yet/);
  expect(await probe(controller, "/livez")).toBe("200 ok");

  apiServer.decide(({ url }) =>
    /\/(connections|secrets)\b/.test(url) ? { refusal: { code: 403, reason: "Forbidden" } } : undefined,
  );
  apiServer.mend();
  await controller.logged("Leading");
  await eventually(async () =>
    expect(await probe(controller, "/readyz"), "it leads, and has nothing to work on").toMatch(
      /^503 .*connections have not been listed yet/,
    ),
  );
  expect(await probe(controller, "/livez")).toBe("200 ok");

  apiServer.decide(() => undefined);
  await eventually(async () => expect(await probe(controller, "/readyz")).toBe("200 ok"));
});

test("a controller that waits for another one to end is ready", async () => {
  await using installation = await createInstallation("ready");
  const leader = installation.start("controller");
  await leader.logged("Leading");
  const standby = installation.start("controller");

  await eventually(async () => expect(await probe(standby, "/readyz")).toBe("200 ok"));
  expect(standby.output()).not.toContain("Leading");
});
