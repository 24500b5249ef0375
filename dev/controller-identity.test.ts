import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, inject, test } from "vitest";
import { eventually } from "../test/support/eventually.ts";
import { temporaryDirectory } from "../test/support/temporary-directory.ts";
import { createKubectl } from "./control-plane/kubectl.ts";
import { createControllerIdentity } from "./controller-identity.ts";
import { install } from "./install.ts";

const HOUR_MS = 3_600_000;

/** The run's own cluster, with the controller's account and rights in it. */
async function cluster(folder: string) {
  const { binaries, kubeconfig } = inject("controlPlane");
  const signal = new AbortController().signal;
  const kubectl = createKubectl(join(binaries, "kubectl"), kubeconfig, join(folder, "cache"), signal);
  await install(kubectl);
  return { kubectl, kubeconfig };
}

test("the controller is its ServiceAccount, and its token is new before half of the old one's life is lost", async () => {
  using folder = temporaryDirectory();
  const { kubectl, kubeconfig } = await cluster(folder.path);
  let now = Date.now();
  const timing = { lookEveryMs: 10, now: () => now };
  using identity = await createControllerIdentity({ kubectl, kubeconfig }, folder.path, () => {}, timing);
  const token = (): string => readFileSync(join(folder.path, "controller-token"), "utf8");
  const first = token();
  const whoami = await kubectl([
    "auth",
    "whoami",
    "--kubeconfig",
    identity.kubeconfig,
    "-o",
    "jsonpath={.status.userInfo.username}",
  ]);
  expect(whoami).toBe("system:serviceaccount:keystead-system:keystead-controller");

  now += 0.6 * HOUR_MS;
  await eventually(() => expect(token()).not.toBe(first));
  await expect(kubectl(["auth", "whoami", "--kubeconfig", identity.kubeconfig])).resolves.toContain(
    "keystead-controller",
  );
});

test("a renewal that fails is told and tried again, and the old token stays", async () => {
  using folder = temporaryDirectory();
  const { kubectl, kubeconfig } = await cluster(folder.path);
  const start = Date.now();
  let now = start;
  let refused = 0;
  // As when the API server is away for a while: the first two renewals fail.
  const flaky = Object.assign(
    async (args: readonly string[]): Promise<string> =>
      refused < 2 && now > start ? Promise.reject(new RangeError(`away ${++refused}`)) : kubectl(args),
    { program: kubectl.program },
  );
  const warnings: string[] = [];
  const timing = { lookEveryMs: 10, now: () => now };
  const identity = await createControllerIdentity(
    { kubectl: flaky, kubeconfig },
    folder.path,
    (line) => warnings.push(line),
    timing,
  );
  const token = (): string => readFileSync(join(folder.path, "controller-token"), "utf8");
  const first = token();
  now += 0.6 * HOUR_MS;
  await eventually(() => expect(token()).not.toBe(first));
  identity[Symbol.dispose]();
  expect(warnings).toEqual([expect.stringContaining("away 1"), expect.stringContaining("away 2")]);
});
