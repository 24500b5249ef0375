import { readFileSync } from "node:fs";
import type { z } from "zod";
import { encryptionKey } from "./config-values.ts";
import { allVariables, VARIABLES, type Variable } from "./config-variables.ts";
import type { Secret } from "./crypto/secret.ts";
import { KeysteadError } from "./errors.ts";
import { parseNoProxy } from "./outbound/no-proxy.ts";

type ProcessEnvironment = Readonly<Record<string, string | undefined>>;

/** What makes each section out of the variables. Runs after all of them were checked, so nothing here is refused. */
const SECTIONS = {
  log: (env: ProcessEnvironment) => ({
    level: parse(env, VARIABLES.log.level),
    format: parse(env, VARIABLES.log.format),
  }),
  /** Where the parts of this installation are found, and the name that marks what is its own. */
  installation(env: ProcessEnvironment) {
    const serviceUrl =
      parse(env, VARIABLES.installation.serviceUrl) ?? `http://localhost:${parse(env, VARIABLES.installation.apiPort)}`;
    return {
      release: parse(env, VARIABLES.installation.release),
      serviceUrl,
      publicUrl: parse(env, VARIABLES.installation.publicUrl) ?? serviceUrl,
    };
  },
  /** The current key wraps what is new; the previous ones only open what is old. */
  encryption(env: ProcessEnvironment): { key: Secret; previousKeys: readonly Secret[] } {
    const previousKeys = parse(env, VARIABLES.encryption.previousKeys) ?? [];
    const key = parse(env, VARIABLES.encryption.key);
    if (key) return { key, previousKeys };
    const [first, ...others] = readKeyFiles(env);
    if (!first) throw new KeysteadError("configuration_invalid", NO_KEY);
    return { key: first, previousKeys: [...others, ...previousKeys] };
  },
  database: (env: ProcessEnvironment) => ({
    url: parse(env, VARIABLES.database.url),
    poolSize: parse(env, VARIABLES.database.poolSize),
    preparedStatements: parse(env, VARIABLES.database.preparedStatements),
  }),
  migration: (env: ProcessEnvironment) => ({
    ownerUrl: parse(env, VARIABLES.migration.ownerUrl),
    runtimeRole: parse(env, VARIABLES.migration.runtimeRole),
    auditRetentionDays: parse(env, VARIABLES.migration.auditRetentionDays),
  }),
  /** `host` undefined means all addresses. */
  api: (env: ProcessEnvironment) => ({
    port: parse(env, VARIABLES.installation.apiPort),
    host: parse(env, VARIABLES.api.host),
    auditReads: parse(env, VARIABLES.api.auditReads),
    certificate: certificateFilesOf(env),
    trustedProxies: parse(env, VARIABLES.api.trustedProxies) ?? [],
  }),
  /** What `createOutbound` takes. */
  outbound(env: ProcessEnvironment) {
    const url = parse(env, VARIABLES.outbound.proxy);
    const noProxy = parseNoProxy(parse(env, VARIABLES.outbound.noProxy) ?? []);
    return { allow: parse(env, VARIABLES.outbound.allow) ?? [], proxy: url && { url, noProxy } };
  },
  metrics: (env: ProcessEnvironment) => ({
    port: parse(env, VARIABLES.metrics.port),
    host: parse(env, VARIABLES.metrics.host),
  }),
  /** An empty `watchNamespaces` means all of them. */
  controller: (env: ProcessEnvironment) => ({
    watchNamespaces: parse(env, VARIABLES.controller.watchNamespaces) ?? [],
    namespace: parse(env, VARIABLES.controller.namespace),
    concurrency: parse(env, VARIABLES.controller.concurrency),
    leaderElection: parse(env, VARIABLES.controller.leaderElection),
    kubeconfig: parse(env, VARIABLES.controller.kubeconfig),
  }),
};

/** Everything that can be configured, by the part of the program that uses it. */
export type Config = { readonly [S in keyof typeof SECTIONS]: Readonly<ReturnType<(typeof SECTIONS)[S]>> };

const NO_KEY =
  "KEYSTEAD_ENCRYPTION_KEY: must be set, or KEYSTEAD_ENCRYPTION_KEY_FILE: make a key with `openssl rand -base64 32` or `keystead keygen`";

/**
 * Reads the sections that a process needs; variables of other sections are not looked at, so the API starts without
 * any Kubernetes setting and `migrate` without an encryption key.
 *
 * @throws `configuration_invalid`, whose message has a line for every variable that is wrong. No line repeats a value:
 * a password may have been put into the wrong variable.
 */
export function loadConfig<S extends keyof Config>(
  processEnvironment: ProcessEnvironment,
  sections: readonly S[],
): Pick<Config, S> {
  // Helm templates leave `NAME=""` where a value is missing, so empty means unset.
  const env = Object.fromEntries(Object.entries(processEnvironment).filter(([, value]) => value !== ""));
  const problems = new Set(sections.flatMap((section) => problemsOf(env, section)));
  if (problems.size > 0) {
    throw new KeysteadError(
      "configuration_invalid",
      `The configuration is not valid:\n  ${[...problems].join("\n  ")}`,
    );
  }
  const config = Object.fromEntries(sections.map((section) => [section, SECTIONS[section](env)]));
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the line above sets each name of `sections` to its own section
  return config as Pick<Config, S>;
}

/**
 * Names of `KEYSTEAD_*` variables that nothing reads: most likely misspelt, so the caller logs a warning. They are no
 * error, since an older version must start with the settings of a newer one during a rollback. The variables that
 * Kubernetes sets for Services named `keystead…` are not reported.
 */
export function unknownVariables(env: ProcessEnvironment): string[] {
  const known = new Set(allVariables().map(({ variable }) => variable.name));
  const ofService = /_SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)$|_PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?$/;
  return Object.keys(env).filter((name) => name.startsWith("KEYSTEAD_") && !known.has(name) && !ofService.test(name));
}

function parse<T>(env: ProcessEnvironment, variable: Variable<T>): T {
  return variable.schema.parse(env[variable.name]);
}

function problemsOf(env: ProcessEnvironment, section: keyof Config): string[] {
  const variables: Variable<unknown>[] = Object.values(VARIABLES[section]);
  if (section === "api") variables.push(VARIABLES.installation.apiPort);
  const problems = variables.flatMap(({ name, schema }) => {
    const result = schema.safeParse(env[name]);
    return result.success ? [] : result.error.issues.map((issue) => `${name}: ${describeIssue(issue)}`);
  });
  if (section === "api" && isHalfOfCertificate(env)) problems.push(HALF_CERTIFICATE);
  return section === "encryption" && problems.length === 0 ? keyProblems(env) : problems;
}

function describeIssue(issue: z.core.$ZodIssue): string {
  const [position] = issue.path;
  return typeof position === "number" ? `item ${position + 1} ${issue.message}` : issue.message;
}

const HALF_CERTIFICATE = "KEYSTEAD_TLS_CERT_FILE and KEYSTEAD_TLS_KEY_FILE: set both or none";

function isHalfOfCertificate(env: ProcessEnvironment): boolean {
  const { tlsCertFile, tlsKeyFile } = VARIABLES.api;
  return (parse(env, tlsCertFile) === undefined) !== (parse(env, tlsKeyFile) === undefined);
}

function certificateFilesOf(env: ProcessEnvironment): { certFile: string; keyFile: string } | undefined {
  const certFile = parse(env, VARIABLES.api.tlsCertFile);
  const keyFile = parse(env, VARIABLES.api.tlsKeyFile);
  return certFile === undefined || keyFile === undefined ? undefined : { certFile, keyFile };
}

/** What is wrong with the keys that only reading the files can show. */
function keyProblems(env: ProcessEnvironment): string[] {
  if (parse(env, VARIABLES.encryption.key)) return [];
  if (!parse(env, VARIABLES.encryption.keyFiles)) return [NO_KEY];
  try {
    readKeyFiles(env);
    return [];
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)];
  }
}

function readKeyFiles(env: ProcessEnvironment): Secret[] {
  return (parse(env, VARIABLES.encryption.keyFiles) ?? []).map((path) => {
    const key = encryptionKey.safeParse(readKeyFile(path));
    if (key.success) return key.data;
    throw new KeysteadError(
      "configuration_invalid",
      `KEYSTEAD_ENCRYPTION_KEY_FILE: ${path} ${key.error.issues[0]?.message ?? "holds no key"}`,
    );
  });
}

function readKeyFile(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new KeysteadError("configuration_invalid", `KEYSTEAD_ENCRYPTION_KEY_FILE: ${path} cannot be read`, { cause });
  }
}
