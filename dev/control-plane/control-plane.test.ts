import { execFile } from "node:child_process";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { readFileSync, writeFileSync } from "node:fs";
import { promisify } from "node:util";
import { expect, inject, test } from "vitest";
import { eventually } from "../../test/support/eventually.ts";
import { createNamespace, kubectl } from "../../test/support/servers.ts";
import { temporaryDirectory } from "../../test/support/temporary-directory.ts";
import { createChildProcesses } from "../processes/child-processes.ts";
import type { ChildProcesses } from "../processes/child-processes.ts";
import { startControlPlane } from "./control-plane.ts";
import type { ControlPlane } from "./control-plane.ts";
import { freePorts } from "../processes/free-port.ts";

function start(directory: string, children: ChildProcesses): Promise<ControlPlane> {
  const binaries = { directory: inject("controlPlane").binaries, controllerManager: false };
  return startControlPlane({ directory, binaries, children, durable: true, audit: false });
}

async function run(controlPlane: ControlPlane, args: string[]): Promise<string> {
  const options = [
    "--kubeconfig",
    controlPlane.kubeconfig,
    "--cache-dir",
    join(dirname(controlPlane.kubeconfig), "cache"),
  ];
  return (await promisify(execFile)(join(inject("controlPlane").binaries, "kubectl"), [...options, ...args])).stdout;
}

test(
  "what was stored is there again after every server was killed, at the same address",
  { timeout: 120_000 },
  async () => {
    using folder = temporaryDirectory();
    const directory = join(folder.path, "control-plane");
    const children = createChildProcesses(folder.path);
    const before = await start(directory, children);
    await run(before, ["create", "configmap", "kept", "--from-literal=key=value"]);
    for (const part of before.parts) process.kill(part.pid, "SIGKILL");
    await children[Symbol.asyncDispose]();

    await using again = createChildProcesses(folder.path);
    const after = await start(directory, again);
    expect(after.url).toBe(before.url);
    await expect(run(after, ["get", "configmap", "kept", "-o", "jsonpath={.data.key}"])).resolves.toBe("value");
  },
);

test("ports that somebody else has taken since are given up", { timeout: 120_000 }, async () => {
  using folder = temporaryDirectory();
  const directory = join(folder.path, "control-plane");
  await using children = createChildProcesses(folder.path);
  const [api = 0, etcd = 0, etcdPeer = 0] = await freePorts(3);
  const { mkdirSync } = await import("node:fs");
  mkdirSync(directory);
  writeFileSync(join(directory, "ports.json"), JSON.stringify({ api, etcd, etcdPeer }));
  await using other = createServer();
  await new Promise<void>((resolve) => other.listen(etcd, "127.0.0.1", resolve));
  const controlPlane = await start(directory, children);
  expect(controlPlane.url).not.toContain(String(api));
  await expect(run(controlPlane, ["get", "--raw", "/readyz"])).resolves.toBe("ok");
});

test("a server that cannot start is named with its own words", { timeout: 120_000 }, async () => {
  using folder = temporaryDirectory();
  await using children = createChildProcesses(folder.path);
  const directory = join(folder.path, "control-plane");
  const { mkdirSync } = await import("node:fs");
  mkdirSync(directory);
  // etcd wants a folder here.
  writeFileSync(join(directory, "etcd"), "");
  await expect(start(directory, children)).rejects.toMatchObject({
    code: "part_failed",
    message: expect.stringMatching(/^etcd ended while it started:\n.*not a directory/s),
  });
});

test("nobody gets in without an identity, neither at the API server nor at etcd", async () => {
  const { url, kubeconfig } = inject("controlPlane");
  const ports = JSON.parse(readFileSync(join(dirname(kubeconfig), "ports.json"), "utf8")) as { etcd: number };
  const curl = async (address: string): Promise<string> => {
    const script = `process.env.NODE_TLS_REJECT_UNAUTHORIZED = "0"; fetch(${JSON.stringify(address)}).then((a) => console.log(a.status), (e) => console.log(e.cause.code))`;
    return (await promisify(execFile)(process.execPath, ["--no-warnings", "-e", script])).stdout.trim();
  };
  await expect(curl(`${url}/api/v1/secrets`)).resolves.toBe("403");
  await expect(curl(`https://127.0.0.1:${ports.etcd}/v3/kv/range`)).resolves.toMatch(/^ERR_SSL|ECONNRESET/);
});

test("an owned object goes with its owner, and a deleted namespace ends", { timeout: 60_000 }, async ({ skip }) => {
  if (!inject("controlPlane").controllerManager) skip("these binaries come without kube-controller-manager");
  await using namespace = await createNamespace("collected");
  const uid = await kubectl(["-n", namespace.name, "create", "configmap", "owner", "-o", "jsonpath={.metadata.uid}"]);
  const ownerReferences = [{ apiVersion: "v1", kind: "ConfigMap", name: "owner", uid }];
  const owned = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "owned", ownerReferences } };
  await kubectl(["-n", namespace.name, "apply", "-f", "-"], { stdin: JSON.stringify(owned) });
  await kubectl(["-n", namespace.name, "delete", "configmap", "owner"]);
  await eventually(() =>
    expect(kubectl(["-n", namespace.name, "get", "configmap", "owned"])).rejects.toThrow("not found"),
  );

  await kubectl(["delete", "namespace", namespace.name, "--wait=false"]);
  await eventually(() => expect(kubectl(["get", "namespace", namespace.name])).rejects.toThrow("not found"));
});

test("the audit log records who asked for what, and no body", async () => {
  await using namespace = await createNamespace("audited");
  const name = namespace.name;
  await kubectl(["-n", name, "create", "serviceaccount", "asker"]);
  const token = (await kubectl(["-n", name, "create", "token", "asker"])).trim();
  const asker = ["--token", token, "--client-certificate=", "--client-key=", "-n", name];
  await expect(
    kubectl([...asker, "create", "secret", "generic", "refused", "--from-literal=key=canary8f2a"]),
  ).rejects.toThrow("forbidden");
  await eventually(() => {
    const log = readFileSync(inject("controlPlane").auditLog, "utf8");
    const line = log
      .split("\n")
      .find((text) => text.includes(`system:serviceaccount:${name}:asker`) && text.includes('"verb":"create"'));
    expect(line).toContain('"resource":"secrets"');
    expect(log).not.toContain("canary8f2a");
  });
});
