import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, expect, inject, test } from "vitest";
import { parse } from "yaml";
import { applicationOf } from "./support/application.ts";
import { createInstallation } from "./support/keystead.ts";
import { canary } from "./support/leaks.ts";
import { connection, environment, integration, type Manifest, secret } from "./support/resources.ts";
import { startSecondCluster } from "./support/second-cluster.ts";
import { temporaryDirectory } from "./support/temporary-directory.ts";

// The commands of docs/moving-a-cluster.md, as they stand there, between two control planes on one database.

const installation = await createInstallation("drill");
const { namespace } = installation;
const old = installation.objects;
// Both clusters call it the same, as those do that were made from the same manifests.
const second = await startSecondCluster(namespace);
const folder = temporaryDirectory();

afterAll(async () => {
  await installation[Symbol.asyncDispose]();
  await second[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

/** The drill, with the names of this run. */
function drill(): string {
  const page = readFileSync(new URL("../docs/moving-a-cluster.md", import.meta.url), "utf8");
  const [, block] = /^## The drill\n.*?^```sh\n(.*?)^```/ms.exec(page) ?? [];
  return (block ?? expect.fail("docs/moving-a-cluster.md has no drill")).replaceAll("shop", namespace);
}

interface Kubeconfig {
  readonly clusters: readonly { readonly cluster: object }[];
  readonly users: readonly { readonly user: object }[];
}

/** One file with both clusters as the contexts that the page speaks of. */
function writeKubeconfig(paths: Readonly<Record<string, string>>): string {
  const parts = Object.entries(paths).map(([name, path]) => {
    const { clusters, users }: Kubeconfig = parse(readFileSync(path, "utf8"));
    return { name, cluster: clusters[0]?.cluster, user: users[0]?.user };
  });
  const path = join(folder.path, "kubeconfig");
  const merged = {
    apiVersion: "v1",
    kind: "Config",
    clusters: parts.map(({ name, cluster }) => ({ name, cluster })),
    users: parts.map(({ name, user }) => ({ name, user })),
    contexts: parts.map(({ name }) => ({ name, context: { cluster: name, user: name } })),
  };
  writeFileSync(path, JSON.stringify(merged));
  return path;
}

function writeManifest(file: string, manifest: Manifest): void {
  const placed = { ...manifest, metadata: { ...manifest.metadata, namespace } };
  writeFileSync(join(folder.path, file), JSON.stringify(placed));
}

test("the commands of the drill move an environment, and applications go on with the key that they have", async () => {
  const here = installation.start("run");
  installation.start("controller", second.environment);
  const parents = { environment: "production", integration: "stripe" };
  const token = canary("token");
  const manifests = [
    secret("acme", { token }),
    integration("stripe", "production"),
    connection("acme", parents),
  ] as const;
  await old.apply(environment("production"), ...manifests);
  await old.ready("environment/production", "integration/stripe", "connection/acme");
  const { status } = await old.get("connection/acme");
  const application = await applicationOf(installation, here, "production");

  writeManifest("secrets.yaml", manifests[0]);
  writeManifest("integrations.yaml", manifests[1]);
  writeManifest("connections.yaml", manifests[2]);
  const { binaries, kubeconfig } = inject("controlPlane");
  await promisify(execFile)("sh", ["-euc", drill()], {
    cwd: folder.path,
    env: {
      ...process.env,
      PATH: [binaries, process.env["PATH"]].join(delimiter),
      KUBECONFIG: writeKubeconfig({ OLD: kubeconfig, NEW: second.environment["KUBECONFIG"] ?? "" }),
      KUBECACHEDIR: join(folder.path, "cache"),
    },
  });

  expect(await old.find("connection/acme")).toBeUndefined();
  expect(await old.find("environment/production")).toBeUndefined();
  await second.objects.ready("environment/production", "integration/stripe", "connection/acme");
  expect((await second.objects.get("connection/acme")).status).toMatchObject({
    connectionId: status?.["connectionId"],
  });
  expect(await application.credentials("acme", "stripe")).toMatchObject({ apiKey: token });
});
