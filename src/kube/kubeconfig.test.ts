import { chmod, mkdtempDisposable, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { inspect } from "node:util";
import { expect, inject, test } from "vitest";
import { parse, stringify } from "yaml";
import type { FaultServer } from "../../test/support/fault-server.ts";
import { json, startFaultServer } from "../../test/support/fault-server.ts";
import { KeysteadError } from "../errors.ts";
import { createKubeClient } from "./client.ts";
import { loadKubeconfig } from "./kubeconfig.ts";

const VERSION = { method: "GET", path: "/version" } as const;

interface Parts {
  readonly cluster?: object;
  readonly user?: object;
  readonly context?: object;
  readonly more?: object;
}

/** A kubeconfig with one of each, in a folder of its own. */
async function write(parts: Parts) {
  const directory = await mkdtempDisposable(join(tmpdir(), "keystead-kubeconfig-"));
  const path = join(directory.path, "config");
  const content = {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "c", cluster: { server: "https://127.0.0.1:6443", ...parts.cluster } }],
    users: [{ name: "u", user: { ...parts.user } }],
    contexts: [{ name: "x", context: { cluster: "c", user: "u", ...parts.context } }],
    "current-context": "x",
    ...parts.more,
  };
  await writeFile(path, stringify(content));
  return { path, directory: directory.path, [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose]() };
}

async function authorizationOf(path: string): Promise<string | undefined> {
  const { bearer } = await loadKubeconfig(path, undefined);
  return bearer?.authorization(0, false);
}

/** Content of the administrator's file, with everything inline. */
async function adminParts() {
  const content: {
    clusters: { cluster: { server: string; "certificate-authority-data": string } }[];
    users: { user: { "client-certificate-data": string; "client-key-data": string } }[];
  } = parse(await readFile(inject("controlPlane").kubeconfig, "utf8"));
  const [cluster, user] = [content.clusters[0]?.cluster, content.users[0]?.user];
  if (cluster === undefined || user === undefined)
    throw new KeysteadError("internal_error", "The administrator's kubeconfig is empty");
  return { cluster, user };
}

test("certificates in files, relative to the kubeconfig, open the real API server", async () => {
  const { cluster, user } = await adminParts();
  await using file = await write({
    cluster: { server: cluster.server, "certificate-authority": "ca.crt" },
    user: { "client-certificate": "client.crt", "client-key": "client.key" },
  });
  for (const [name, data] of [
    ["ca.crt", cluster["certificate-authority-data"]],
    ["client.crt", user["client-certificate-data"]],
    ["client.key", user["client-key-data"]],
  ] as const) {
    await writeFile(join(file.directory, name), Buffer.from(data, "base64"));
  }
  await using client = createKubeClient(await loadKubeconfig(file.path, undefined));
  expect(await client.request(VERSION)).toMatchObject({ major: "1" });
});

test.each([
  { why: "the name that the certificate has", more: { "tls-server-name": "localhost" }, works: true },
  { why: "another name", more: { "tls-server-name": "elsewhere.example" }, works: false },
  { why: "an unknown CA", more: { "certificate-authority-data": "" }, works: false },
  {
    why: "neither, but told not to look",
    more: {
      "certificate-authority-data": "",
      "tls-server-name": "elsewhere.example",
      "insecure-skip-tls-verify": true,
    },
    works: true,
  },
])("the server's certificate is checked: $why", async ({ more, works }) => {
  const { cluster, user } = await adminParts();
  await using file = await write({ cluster: { ...cluster, ...more }, user });
  await using client = createKubeClient(await loadKubeconfig(file.path, undefined));
  const asked = client.request({ ...VERSION, timeoutMs: 3_000 });
  if (works) expect(await asked).toMatchObject({ major: "1" });
  else await expect(asked).rejects.toMatchObject({ code: "kube_unreachable" });
});

test.each([
  { why: "in the file itself", user: { token: "one" }, expected: "Bearer one" },
  { why: "in another file, which wins", user: { token: "one", tokenFile: "token" }, expected: "Bearer two" },
  { why: "none", user: {}, expected: undefined },
])("the token is taken: $why", async ({ user, expected }) => {
  await using file = await write({ user });
  await writeFile(join(file.directory, "token"), "two\n");
  expect(await authorizationOf(file.path)).toBe(expected);
});

test("address, namespace and path prefix are read, also of an IPv6 server and without a port", async () => {
  const cases = [
    { server: "https://[::1]:6443", expected: { protocol: "https:", host: "::1", port: 6443, basePath: "" } },
    { server: "https://proxy.example/k8s/c1/", expected: { host: "proxy.example", port: 443, basePath: "/k8s/c1" } },
    { server: "http://localhost", expected: { protocol: "http:", host: "localhost", port: 80 } },
  ];
  for (const { server, expected } of cases) {
    await using file = await write({ cluster: { server }, context: { namespace: "shop" } });
    const identity = await loadKubeconfig(file.path, undefined);
    expect(identity.server).toMatchObject(expected);
    expect(identity.namespace).toBe("shop");
  }
});

test("calls go under the path prefix", async () => {
  await using server = await startFaultServer();
  server.otherwise("call", json(200, {}));
  const { port } = server.identity.server;
  await using file = await write({ cluster: { server: `http://127.0.0.1:${port}/k8s/` }, user: { token: "one" } });
  await using client = createKubeClient(await loadKubeconfig(file.path, undefined));
  await client.request(VERSION);
  expect(server.requests).toMatchObject([{ path: "/k8s/version", headers: { authorization: "Bearer one" } }]);
});

test("of several files the first that has a name counts, and a context can be chosen", async () => {
  await using first = await write({ user: { token: "first" }, more: { "current-context": "", contexts: null } });
  const other = { contexts: [{ name: "y", context: { cluster: "c", user: "u", namespace: "other" } }] };
  await using second = await write({ user: { token: "second" }, more: { ...other, "current-context": "y" } });
  const identity = await loadKubeconfig([first.path, second.path].join(delimiter), undefined);
  expect(identity.bearer?.authorization(0, false)).toBe("Bearer first");
  expect(identity.namespace).toBe("other");
  await expect(loadKubeconfig(second.path, "x")).rejects.toMatchObject({ code: "kube_identity_invalid" });
});

test.each([
  { why: "no context", parts: { more: { "current-context": "" } }, says: "no current-context" },
  { why: "a context without its cluster", parts: { context: { cluster: "gone" } }, says: 'no cluster named "gone"' },
  { why: "a context without its user", parts: { context: { user: "gone" } }, says: 'no user named "gone"' },
  { why: "no URL", parts: { cluster: { server: "6443" } }, says: "not an http or https URL" },
  { why: "a proxy", parts: { cluster: { "proxy-url": "http://p" } }, says: "proxy-url is not supported" },
  { why: "a password", parts: { user: { username: "u", password: "hunter2" } }, says: "username and password" },
  { why: "a file that is missing", parts: { user: { "client-key": "gone.key" } }, says: "gone.key" },
  { why: "a wrong type", parts: { user: { token: { text: "hunter2" } } }, says: "users.0.user.token" },
])("a kubeconfig that cannot be used says why, and shows no value of a credential: $why", async ({ parts, says }) => {
  await using file = await write(parts);
  const error = await loadKubeconfig(file.path, undefined).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: "kube_identity_invalid", message: expect.stringContaining(says) });
  expect(String(error)).toContain(file.path.slice(0, file.path.lastIndexOf("/")));
  expect(inspect(error, { depth: 5 })).not.toContain("hunter2");
});

test("a file that is missing or no YAML is named", async () => {
  await using file = await write({});
  await writeFile(file.path, "a: [");
  for (const path of [file.path, join(file.directory, "gone")]) {
    await expect(loadKubeconfig(path, undefined)).rejects.toMatchObject({
      code: "kube_identity_invalid",
      message: expect.stringContaining(path),
    });
  }
});

/** A plugin beside the kubeconfig that prints what the file `token` holds, as a credential that is expired at once. */
async function withPlugin(server: FaultServer, command: string) {
  const exec = { apiVersion: "client.authentication.k8s.io/v1", command, interactiveMode: "Never" };
  const cluster = { server: `http://127.0.0.1:${server.identity.server.port}`, "insecure-skip-tls-verify": true };
  const file = await write({ cluster, user: { exec } });
  const status = `{"token":"'$(cat ${join(file.directory, "token")})'","expirationTimestamp":"2000-01-01T00:00:00Z"}`;
  const credential = `{"apiVersion":"${exec.apiVersion}","kind":"ExecCredential","status":${status}}`;
  await writeFile(join(file.directory, "plugin.sh"), `#!/bin/sh\necho '${credential}'\n`);
  await chmod(join(file.directory, "plugin.sh"), 0o700);
  return file;
}

test("a credential plugin is run, and asked again when its token is refused", async () => {
  await using server = await startFaultServer();
  await using file = await withPlugin(server, "./plugin.sh");
  server.otherwise("call", (response, request) =>
    json(request.headers.authorization === "Bearer two" ? 200 : 401, { kind: "Status" })(response, request),
  );
  await writeFile(join(file.directory, "token"), "one");
  await using client = createKubeClient(await loadKubeconfig(file.path, undefined));
  await expect(client.request(VERSION)).rejects.toMatchObject({ code: "kube_unauthorized" });
  await writeFile(join(file.directory, "token"), "two");
  expect(await client.request(VERSION)).toEqual({ kind: "Status" });
  expect(server.requests[0]?.headers.authorization).toBe("Bearer one");
});

test("a credential plugin that fails later leaves the token it gave, which is good until it is refused", async () => {
  await using server = await startFaultServer();
  await using file = await withPlugin(server, "./plugin.sh");
  await writeFile(join(file.directory, "token"), "one");
  const { bearer } = await loadKubeconfig(file.path, undefined);
  await writeFile(join(file.directory, "plugin.sh"), "#!/bin/sh\nexit 1\n");
  const later = performance.now() + 120_000;
  const asked = [1, 2, 3].map(async () => bearer?.authorization(later, false));
  expect(await Promise.all(asked)).toEqual(["Bearer one", "Bearer one", "Bearer one"]);
  await expect(bearer?.authorization(later, true)).rejects.toMatchObject({ code: "kube_identity_invalid" });
});

test("a credential plugin that fails is an error that names the kubeconfig", async () => {
  await using server = await startFaultServer();
  await using file = await withPlugin(server, "./gone.sh");
  await expect(loadKubeconfig(file.path, undefined)).rejects.toMatchObject({
    code: "kube_identity_invalid",
    message: expect.stringContaining(file.path),
  });
});
