// A process that campaigns for a lease, for tests that kill or freeze it: campaigning-process.ts KUBECONFIG NAMESPACE IDENTITY
// Says `leading` when it begins and `ended` when it stops; its exit code is 3 when it lost the lease.
import { createKubeClient } from "../../src/kube/client.ts";
import { hasCode } from "../../src/errors.ts";
import { loadIdentity } from "../../src/kube/identity.ts";
import { campaign } from "../../src/kube/leader-election.ts";

const [kubeconfig, namespace = "", identity = ""] = process.argv.slice(2);
const stop = new AbortController();
process.on("SIGTERM", () => stop.abort());
await using client = createKubeClient(await loadIdentity({ kubeconfig, env: {} }));
try {
  await campaign(client, {
    namespace,
    name: "leader",
    identity,
    signal: stop.signal,
    leaseDurationMs: 3_000,
    renewDeadlineMs: 2_000,
    retryMs: 100,
    async lead(signal) {
      process.stdout.write("leading\n");
      await new Promise((resolve) => {
        signal.addEventListener("abort", resolve, { once: true });
      });
      process.stdout.write("ended\n");
    },
  });
} catch (error) {
  process.exitCode = hasCode(error, "leadership_lost") ? 3 : 1;
}
