import { expect, inject, test } from "vitest";
import { loadIdentity } from "../src/kube/identity.ts";
import { startApiServerProxy } from "./support/api-server-proxy.ts";
import { createInstallation } from "./support/keystead.ts";

test("one process for both serves the API while no API server answers, and ends in good order", async () => {
  await using installation = await createInstallation("alone");
  const { server } = await loadIdentity({ kubeconfig: inject("controlPlane").kubeconfig, env: {} });
  await using proxy = await startApiServerProxy(server);
  proxy.sever();
  const process = installation.start("run", {
    KUBECONFIG: proxy.kubeconfigLike(installation.environment["KUBECONFIG"] ?? ""),
  });
  const api = await installation.apiOf(process);
  await process.logged("the API server does not answer yet; trying again");

  expect((await fetch(`${api}/readyz`)).status).toBe(200);
  expect(await process.end("SIGTERM")).toBe(0);
});
