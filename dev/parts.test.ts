import { createServer } from "node:net";
import { expect, test } from "vitest";
import { freePorts } from "./processes/free-port.ts";
import { metricsPorts, partEnvironment } from "./parts.ts";

const SETTINGS = {
  databaseUrl: "postgres://app@127.0.0.1/keystead",
  kubeconfig: "/data/controller.kubeconfig",
  encryptionKey: "kept",
  apiPort: 3003,
  leaderElection: false,
};

test.each([
  [
    "every variable of the user is passed on",
    { KEYSTEAD_CONCURRENCY: "7", KEYSTEAD_NOT_KNOWN_YET: "x" },
    { KEYSTEAD_CONCURRENCY: "7", KEYSTEAD_NOT_KNOWN_YET: "x" },
  ],
  ["the kept key is used", {}, { KEYSTEAD_ENCRYPTION_KEY: "kept" }],
  ["the user's key overrides the kept one", { KEYSTEAD_ENCRYPTION_KEY: "own" }, { KEYSTEAD_ENCRYPTION_KEY: "own" }],
  ["an empty key counts as unset", { KEYSTEAD_ENCRYPTION_KEY: "" }, { KEYSTEAD_ENCRYPTION_KEY: "kept" }],
  ["everything listens on loopback", {}, { KEYSTEAD_API_HOST: "127.0.0.1", KEYSTEAD_METRICS_HOST: "127.0.0.1" }],
  ["unless the user wants it otherwise", { KEYSTEAD_API_HOST: "0.0.0.0" }, { KEYSTEAD_API_HOST: "0.0.0.0" }],
  ["alone on its control plane the controller elects nobody", {}, { KEYSTEAD_LEADER_ELECTION: "false" }],
  [
    "a kubeconfig of the user never reaches the controller",
    { KUBECONFIG: "/home/me/.kube/config" },
    { KUBECONFIG: "/data/controller.kubeconfig" },
  ],
  [
    "nor does the owner's database URL",
    { DATABASE_URL: "postgres://owner@h/d" },
    { DATABASE_URL: "postgres://app@127.0.0.1/keystead" },
  ],
])("%s", (_, user: Record<string, string>, expected) => {
  expect(partEnvironment(user, SETTINGS)).toMatchObject(expected);
});

test("a key file of the user is not hidden by the kept key", () => {
  expect(partEnvironment({ KEYSTEAD_ENCRYPTION_KEY_FILE: "/run/key" }, SETTINGS)).not.toHaveProperty(
    "KEYSTEAD_ENCRYPTION_KEY",
  );
});

test("metrics ports that the user chose and somebody else has are refused, not replaced", async () => {
  const [port = 0] = await freePorts(1);
  await using other = createServer();
  await new Promise<void>((resolve) => other.listen(port, "127.0.0.1", resolve));
  await expect(metricsPorts({ KEYSTEAD_METRICS_PORT: String(port) })).rejects.toMatchObject({ code: "port_in_use" });
});
