import { execFile } from "node:child_process";
import { request } from "node:https";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { promisify } from "node:util";
import { expect, inject, test } from "vitest";
import { eventually } from "../../test/support/eventually.ts";
import { createNamespace, kubectl } from "../../test/support/servers.ts";
import { temporaryDirectory } from "../../test/support/temporary-directory.ts";
import { createChildProcesses } from "../processes/child-processes.ts";
import type { ChildProcesses } from "../processes/child-processes.ts";
import { startControlPlane } from "./control-plane.ts";
import type { ControlPlane } from "./control-plane.ts";
import { writeTokenKubeconfig } from "./kubeconfig.ts";
import { portsShape } from "./server-arguments.ts";
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
  mkdirSync(directory);
  // etcd wants a folder here.
  writeFileSync(join(directory, "etcd"), "");
  await expect(start(directory, children)).rejects.toMatchObject({
    code: "part_failed",
    message: expect.stringMatching(/^etcd ended while it started:\n.*not a directory/s),
  });
});

/** Asks without any identity; resolves with the status, or the code of the error where not even TLS is agreed on. */
function askAnonymously(url: string, ca: Buffer): Promise<number | string | undefined> {
  return new Promise((resolve) => {
    const call = request(url, { ca, agent: false }, (answer) => resolve(answer.resume().statusCode));
    call.once("error", (error: NodeJS.ErrnoException) => resolve(error.code));
    call.end();
  });
}

test("nobody gets in without an identity, neither at the API server nor at etcd", async () => {
  const { url, kubeconfig } = inject("controlPlane");
  const directory = dirname(kubeconfig);
  const authority = readFileSync(join(directory, "certificates", "authority.crt"));
  const ports = portsShape.parse(JSON.parse(readFileSync(join(directory, "ports.json"), "utf8")));
  await expect(askAnonymously(`${url}/api/v1/secrets`, authority)).resolves.toBe(403);
  for (const port of [ports.etcd, ports.etcdPeer]) {
    await expect(askAnonymously(`https://127.0.0.1:${port}/version`, authority)).resolves.toMatch(
      /^ERR_SSL|^ECONNRESET/,
    );
  }
});

test("an owned object goes with its owner, and a deleted namespace ends", { timeout: 60_000 }, async ({ skip }) => {
  if (!inject("controlPlane").controllerManager) skip("these binaries come without kube-controller-manager");
  const namespace = await createNamespace("collected");
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
  const namespace = await createNamespace("audited");
  const name = namespace.name;
  await kubectl(["-n", name, "create", "serviceaccount", "asker"]);
  const token = (await kubectl(["-n", name, "create", "token", "asker"])).trim();
  using folder = temporaryDirectory();
  const tokenFile = join(folder.path, "token");
  writeFileSync(tokenFile, token);
  const kubeconfig = writeTokenKubeconfig(
    join(folder.path, "config"),
    inject("controlPlane").kubeconfig,
    tokenFile,
    name,
  );
  const asker = ["--kubeconfig", kubeconfig];
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
