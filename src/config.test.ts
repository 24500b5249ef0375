import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeConfig } from "./config-docs.ts";
import { loadConfig, unknownVariables } from "./config.ts";
import { hasCode } from "./errors.ts";

const newKey = () => randomBytes(32).toString("base64");
let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "keystead-config-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** The lines that a refused configuration prints, one for each variable that is wrong. */
function refusal(env: Record<string, string>, sections: Parameters<typeof loadConfig>[1]): string[] {
  try {
    loadConfig(env, sections);
  } catch (error) {
    if (hasCode(error, "configuration_invalid"))
      return error.message
        .split("\n")
        .slice(1)
        .map((line) => line.trim());
    throw error;
  }
  return [];
}

function keyFile(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

test("an empty environment gives every default", () => {
  const config = loadConfig({}, ["log", "installation", "api", "metrics", "controller"]);
  expect(config).toEqual({
    log: { level: "info", format: "auto" },
    installation: {
      release: "keystead",
      serviceUrl: "http://localhost:3003",
      publicUrl: "http://localhost:3003",
    },
    api: { port: 3003, host: undefined, auditReads: true, certificate: undefined, trustedProxies: [] },
    metrics: { port: 9090, host: undefined },
    controller: {
      watchNamespaces: [],
      namespace: undefined,
      concurrency: 32,
      leaderElection: true,
      kubeconfig: undefined,
    },
  });
});

test("proxies are blocks of addresses, and a certificate has both of its files or none", () => {
  const { api } = loadConfig(
    {
      KEYSTEAD_TRUSTED_PROXIES: "10.0.0.0/8, 2001:db8::/32",
      KEYSTEAD_TLS_CERT_FILE: "/tls/tls.crt",
      KEYSTEAD_TLS_KEY_FILE: "/tls/tls.key",
    },
    ["api"],
  );
  expect(api.certificate).toEqual({ certFile: "/tls/tls.crt", keyFile: "/tls/tls.key" });
  expect(api.trustedProxies).toMatchObject([
    { address: "10.0.0.0", prefix: 8 },
    { address: "2001:db8::", prefix: 32 },
  ]);
  expect(
    refusal({ KEYSTEAD_TLS_CERT_FILE: "/tls/tls.crt", KEYSTEAD_TRUSTED_PROXIES: "10.0.0.0/8,proxy" }, ["api"]),
  ).toEqual([
    expect.stringMatching(/^KEYSTEAD_TRUSTED_PROXIES: item 2 must be a block/),
    expect.stringContaining("set both or none"),
  ]);
});

test("a process is not asked for what it does not use", () => {
  const owner = "postgres://owner:pw@db/keystead";
  const config = loadConfig({ KEYSTEAD_DATABASE_OWNER_URL: owner, KEYSTEAD_CONCURRENCY: "lots" }, ["migration"]);
  expect(config.migration.ownerUrl.reveal()).toBe(owner);
  expect(config.migration.runtimeRole).toBe("keystead_runtime");
});

test("one start names every wrong variable, so that nobody has to fix them one at a time", () => {
  const lines = refusal(
    {
      KEYSTEAD_LOG_LEVEL: "loud",
      KEYSTEAD_API_PORT: "65536",
      KEYSTEAD_CONCURRENCY: "0",
      KEYSTEAD_LEADER_ELECTION: "yes",
      KEYSTEAD_WATCH_NAMESPACES: "shop, Not_A_Name",
      KEYSTEAD_SERVICE_URL: "ftp://keystead",
    },
    ["log", "installation", "encryption", "database", "api", "controller"],
  );
  expect(lines.map((line) => line.split(":")[0])).toEqual([
    "KEYSTEAD_LOG_LEVEL",
    "KEYSTEAD_SERVICE_URL",
    "KEYSTEAD_API_PORT",
    "KEYSTEAD_ENCRYPTION_KEY",
    "DATABASE_URL",
    "KEYSTEAD_WATCH_NAMESPACES",
    "KEYSTEAD_CONCURRENCY",
    "KEYSTEAD_LEADER_ELECTION",
  ]);
  expect(lines.find((line) => line.startsWith("KEYSTEAD_WATCH_NAMESPACES"))).toContain("item 2");
});

test("a refused value is never repeated: it may be a secret in the wrong variable", () => {
  const canary = "canary-7d1f";
  const everywhere = Object.fromEntries(
    [...describeConfig().matchAll(/^\| `([A-Z_]+)`/gm)].map(([, name = ""]) => [
      name,
      `ftp://x:${canary}@y/ ${canary}`,
    ]),
  );
  const lines = refusal({ ...everywhere, KEYSTEAD_ENCRYPTION_KEY: canary }, [
    "log",
    "installation",
    "encryption",
    "database",
    "migration",
    "api",
    "metrics",
    "controller",
  ]);
  expect(lines.length).toBeGreaterThan(12);
  expect(lines.join("\n")).not.toContain(canary);
});

test("passwords and keys are held in a form that does not print", () => {
  const key = newKey();
  const config = loadConfig({ DATABASE_URL: "postgres://u:hunter2@db/k", KEYSTEAD_ENCRYPTION_KEY: key }, [
    "database",
    "encryption",
  ]);
  expect(JSON.stringify(config)).not.toContain("hunter2");
  expect(String(config.encryption.key)).toBe("[redacted]");
  expect(config.encryption.key.reveal()).toBe(key);
});

test.each([
  ["is missing", undefined, "must be set"],
  ["is empty, as a Helm template leaves it", "", "must be set"],
  ["has 31 bytes", randomBytes(31).toString("base64"), "31 bytes instead of 32"],
  ["has 33 bytes", randomBytes(33).toString("base64"), "33 bytes instead of 32"],
  ["is not base64", "*".repeat(44), "is not base64"],
  ["is base64url", `${"-_".repeat(21)}8=`, "is URL-safe base64"],
  ["has bits left over after 32 bytes, so that two texts would mean one key", `${"A".repeat(42)}B=`, "stray bits"],
  ["is hex", randomBytes(32).toString("hex"), "48 bytes instead of 32"],
])("bad case 13: a process does not start when the encryption key %s", (_case, key, says) => {
  const lines = refusal(key === undefined ? {} : { KEYSTEAD_ENCRYPTION_KEY: key }, ["encryption"]);
  expect(lines).toHaveLength(1);
  expect(lines[0]).toContain(says);
  expect(lines[0]).toContain("openssl rand -base64 32");
});

test("bad case 13: a trailing newline around a key is cut", () => {
  const key = newKey();
  const config = loadConfig({ KEYSTEAD_ENCRYPTION_KEY: `${key}\r\n` }, ["encryption"]);
  expect(config.encryption.key.reveal()).toBe(key);
});

test("keys come from files of a mounted Secret, the first being the current one", () => {
  const [current, old, older] = [newKey(), newKey(), newKey()];
  const config = loadConfig(
    {
      KEYSTEAD_ENCRYPTION_KEY_FILE: `${keyFile("current", `${current}\n`)}, ${keyFile("old", old)}`,
      KEYSTEAD_PREVIOUS_ENCRYPTION_KEYS: older,
    },
    ["encryption"],
  );
  expect(config.encryption.key.reveal()).toBe(current);
  expect(config.encryption.previousKeys.map((key) => key.reveal())).toEqual([old, older]);
});

test("key files are not even opened when the variable holds the key", () => {
  const key = newKey();
  const env = { KEYSTEAD_ENCRYPTION_KEY: key, KEYSTEAD_ENCRYPTION_KEY_FILE: join(folder, "absent") };
  expect(loadConfig(env, ["encryption"]).encryption.key.reveal()).toBe(key);
});

test("a key file that is absent or holds no key is named by its path, its content is not", () => {
  const absent = join(folder, "absent");
  expect(refusal({ KEYSTEAD_ENCRYPTION_KEY_FILE: absent }, ["encryption"])[0]).toContain(absent);
  const broken = keyFile("broken", "canary-text");
  const [line] = refusal({ KEYSTEAD_ENCRYPTION_KEY_FILE: broken }, ["encryption"]);
  expect(line).toContain(broken);
  expect(line).not.toContain("canary-text");
});

test("what Kubernetes sets for a Service named keystead-api does not become the port", () => {
  const config = loadConfig({ KEYSTEAD_API_PORT: "tcp://10.96.0.1:80" }, ["api"]);
  expect(config.api.port).toBe(3003);
});

test("a misspelt variable is reported, the ones of Services are not", () => {
  const names = unknownVariables({
    KEYSTEAD_LOGLEVEL: "debug",
    KEYSTEAD_LOG_LEVEL: "debug",
    KEYSTEAD_SERVICE_HOST: "10.96.0.1",
    KEYSTEAD_API_SERVICE_PORT_HTTP: "3003",
    KEYSTEAD_PORT_3003_TCP_ADDR: "10.96.0.1",
    KEYSTEAD_PORT: "tcp://10.96.0.1:3003",
    PATH: "/bin",
  });
  expect(names).toEqual(["KEYSTEAD_LOGLEVEL"]);
});

test("the URL of the service loses its trailing slash and keeps its path", () => {
  const env = { KEYSTEAD_SERVICE_URL: "https://gateway.example/keystead/" };
  const { installation } = loadConfig(env, ["installation"]);
  expect(installation.serviceUrl).toBe("https://gateway.example/keystead");
  expect(installation.publicUrl).toBe(installation.serviceUrl);
});

test("docs/configuration.md is what the table of variables says", () => {
  const page = readFileSync(new URL("../docs/configuration.md", import.meta.url), "utf8");
  expect(page, "run `npm run generate`").toBe(describeConfig());
});
