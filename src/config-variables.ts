import { z } from "zod";
import {
  cidr,
  commaSeparated,
  dnsLabel,
  encryptionKey,
  flag,
  httpUrl,
  listenAddress,
  outboundAllow,
  port,
  postgresUrl,
  proxyUrl,
  retentionDays,
  wholeNumber,
} from "./config-values.ts";

/**
 * One environment variable: how it is parsed, and what `docs/configuration.md` says about it. The text stands beside
 * the schema so that neither changes alone.
 */
export interface Variable<T> {
  readonly name: string;
  readonly schema: z.ZodType<T>;
  /** What it decides. */
  readonly meaning: string;
  /** What it accepts, with the unit. */
  readonly range: string;
  /** As shown in the docs: the value, or in words where another part of the program chooses it. */
  readonly default: string;
  /** Why this default, or why the variable exists. */
  readonly reason: string;
  /** Cases in which it does nothing, beyond the processes that do not read its section. */
  readonly ignoredWhen?: string;
}

function define<T>(name: string, schema: z.ZodType<T>, text: Omit<Variable<T>, "name" | "schema">): Variable<T> {
  return { name, schema, ...text };
}

/** Which processes read a section; a variable of a section that a process does not read is not even checked there. */
export const READERS = {
  log: ["controller", "api", "run", "migrate"],
  installation: ["controller", "api", "run"],
  encryption: ["controller", "api", "run", "keys"],
  database: ["controller", "api", "run", "admin", "keys"],
  migration: ["migrate"],
  api: ["api", "run"],
  outbound: ["api", "run"],
  metrics: ["controller", "api", "run"],
  controller: ["controller", "run"],
} as const;

/** Every variable, by section and field. */
export const VARIABLES = {
  log: {
    level: define(
      "KEYSTEAD_LOG_LEVEL",
      z.enum(["trace", "debug", "info", "warn", "error", "fatal", "silent"]).default("info"),
      {
        meaning: "The least severe line that is written.",
        range: "`trace`, `debug`, `info`, `warn`, `error`, `fatal`, `silent`",
        default: "`info`",
        reason:
          "`info` has a line for each start, stop, and dependency lost or regained, and none for a request or reconcile that went well.",
      },
    ),
    format: define("KEYSTEAD_LOG_FORMAT", z.enum(["auto", "json", "pretty"]).default("auto"), {
      meaning: "How a line looks.",
      range: "`json`, `pretty`, or `auto`: pretty on a terminal, JSON elsewhere",
      default: "`auto`",
      reason: "A log collector wants one JSON object a line, a person at a terminal does not.",
      ignoredWhen: "KEYSTEAD_LOG_LEVEL is `silent`",
    }),
  },
  installation: {
    release: define("KEYSTEAD_RELEASE", dnsLabel.default("keystead"), {
      meaning: "Name of this installation: names the Lease, and marks the rows that its controller manages.",
      range: "1 to 63 characters of `a-z`, `0-9`, `-`",
      default: "`keystead`",
      reason:
        "Two installations may share a cluster. Give them different namespaces to watch: both would write the Secrets of an Environment that both see.",
    }),
    serviceUrl: define("KEYSTEAD_SERVICE_URL", httpUrl.optional(), {
      meaning: "Where applications reach the API: written as KEYSTEAD_HOST into the Secret of every Environment.",
      range: "an `http://` or `https://` URL; a base path is kept, a trailing slash cut",
      default: "`http://localhost:` and KEYSTEAD_API_PORT",
      reason: "Only who installs Keystead knows the Service's name; the default fits a laptop.",
      ignoredWhen: "the process is `api`",
    }),
    apiPort: define("KEYSTEAD_API_PORT", port(3003), {
      meaning: "Port of the HTTP API; the controller reads it for the default of KEYSTEAD_SERVICE_URL.",
      range:
        "0 to 65535; 0 takes a free port and logs it. `tcp://…`, which Kubernetes sets for a Service named `keystead-api`, counts as unset",
      default: "`3003`",
      reason: "The port that users of Nango's contract know.",
    }),
    publicUrl: define("KEYSTEAD_PUBLIC_URL", httpUrl.optional(), {
      meaning: "Where a browser reaches the API from outside the cluster.",
      range: "an `http://` or `https://` URL; a base path is kept, a trailing slash cut",
      default: "KEYSTEAD_SERVICE_URL",
      reason: "The callback of an OAuth provider needs an address that a browser can open; the Service's often is not.",
      ignoredWhen: "this version: no route sends a browser anywhere yet",
    }),
  },
  encryption: {
    key: define("KEYSTEAD_ENCRYPTION_KEY", encryptionKey.optional(), {
      meaning: "The operator's key (KEK), which wraps the data key of every environment.",
      range: "32 bytes in standard base64; white space around it is cut",
      default: "none: the process refuses to start",
      reason: "Nothing is ever stored in plain text, so there is no way to run without one.",
    }),
    previousKeys: define(
      "KEYSTEAD_PREVIOUS_ENCRYPTION_KEYS",
      commaSeparated.pipe(z.array(encryptionKey).max(8, "holds more than 8 keys")).optional(),
      {
        meaning:
          "Older operator's keys, separated by commas: what they wrapped can still be read, and every data key is wrapped under all keys.",
        range: "0 to 8 keys, each 32 bytes in standard base64",
        default: "none",
        reason: "Replicas with the old and with the new key work side by side while the key is changed.",
      },
    ),
    keyFiles: define(
      "KEYSTEAD_ENCRYPTION_KEY_FILE",
      commaSeparated.pipe(z.array(z.string()).min(1, "names no file").max(9, "names more than 9 files")).optional(),
      {
        meaning:
          "Files of a mounted Secret with one operator's key in each, separated by commas: the first is the current key, the others are previous ones.",
        range: "1 to 9 paths",
        default: "none",
        reason: "A file is read by this process alone; a variable is inherited by children and shown by debuggers.",
        ignoredWhen: "KEYSTEAD_ENCRYPTION_KEY is set",
      },
    ),
  },
  database: {
    url: define("DATABASE_URL", postgresUrl, {
      meaning:
        "Postgres with the running role, which can change neither tables nor audit rows. May be a transaction-mode pooler.",
      range: "a `postgres://` URL; `sslmode=verify-full` is advised",
      default: "none: the process refuses to start",
      reason: "The only state of Keystead; the name is the one that platforms hand out.",
    }),
    poolSize: define("KEYSTEAD_DATABASE_POOL_SIZE", wholeNumber(1, 200, 10), {
      meaning: "Connections to Postgres that one process keeps for transactions; two more carry the pipelined reads.",
      range: "1 to 200 connections",
      default: "`10`",
      reason: "Writes are grouped, so few connections carry them; eight processes fit into Postgres's default of 100.",
    }),
    preparedStatements: define("KEYSTEAD_DATABASE_PREPARED_STATEMENTS", flag(true), {
      meaning: "Whether reads use named prepared statements.",
      range: "`true` or `false`",
      default: "`true`",
      reason:
        "Reads cost about a third more without; `false` is for a transaction-mode pooler that cannot carry them (PgBouncer before 1.21).",
    }),
  },
  migration: {
    ownerUrl: define("KEYSTEAD_DATABASE_OWNER_URL", postgresUrl, {
      meaning:
        "Postgres with the role that owns the schema. Must reach the server itself: the migration lock does not work through a transaction-mode pooler.",
      range: "a `postgres://` URL",
      default: "none: the process refuses to start",
      reason: "The role that serves requests has no right to change tables.",
    }),
    runtimeRole: define(
      "KEYSTEAD_DATABASE_RUNTIME_ROLE",
      z
        .string()
        .regex(/^[a-z_][a-z0-9_]{0,62}$/, "must be a plain role name: up to 63 of a-z, 0-9 and _")
        .default("keystead_runtime"),
      {
        meaning: "The role that is granted the rights of a running process.",
        range: "1 to 63 characters of `a-z`, `0-9`, `_`",
        default: "`keystead_runtime`",
        reason: "Hosted databases often fix the names of roles.",
      },
    ),
    auditRetentionDays: define("KEYSTEAD_AUDIT_RETENTION", retentionDays(400), {
      meaning:
        "How long audit events are kept before their day may be dropped; stored in the database by `keystead migrate`.",
      range: "`1d` to `36500d`, whole days",
      default: "`400d`",
      reason:
        "A year and a month, so that last year's audit can still be repeated. Running processes cannot change it: whoever takes one over cannot drop what it did.",
    }),
  },
  api: {
    host: define("KEYSTEAD_API_HOST", listenAddress, {
      meaning: "Address that the HTTP API listens on.",
      range: "an IP address or a host name of this machine",
      default: "all addresses, IPv6 and IPv4",
      reason: "A pod is called from outside; on a laptop `127.0.0.1` keeps it private.",
    }),
    tlsCertFile: define("KEYSTEAD_TLS_CERT_FILE", z.string().optional(), {
      meaning:
        "File with the certificate of the API in PEM, followed by those that lead to a root: `tls.crt` of a mounted Secret. The API then speaks TLS 1.2 and 1.3 alone, with HTTP/2 and HTTP/1.1.",
      range: "a path; read again every 10 s",
      default: "none: plain HTTP",
      reason: "cert-manager and others write such Secrets, and renew them while the process runs.",
    }),
    tlsKeyFile: define("KEYSTEAD_TLS_KEY_FILE", z.string().optional(), {
      meaning: "File with the private key of that certificate in PEM, without a passphrase: `tls.key` of the Secret.",
      range: "a path; both files or none",
      default: "none: plain HTTP",
      reason: "As for the certificate.",
    }),
    trustedProxies: define(
      "KEYSTEAD_TRUSTED_PROXIES",
      commaSeparated.pipe(z.array(cidr).max(64, "holds more than 64 blocks")).optional(),
      {
        meaning:
          "Blocks of addresses of load balancers and proxies, separated by commas, whose `X-Forwarded-For` says who asks. By that address refused keys are counted, and it is in the audit.",
        range: "0 to 64 blocks such as `10.0.0.0/8` or `2001:db8::/32`",
        default: "none: the address is that of the connection",
        reason: "Anybody can send the header. Only who runs the proxies knows them.",
      },
    ),
    auditReads: define(
      "KEYSTEAD_AUDIT_READS",
      z
        .enum(["on", "off"], "must be on or off")
        .default("on")
        .transform((text) => text === "on"),
      {
        meaning: "Whether reads of secrets over the API are audit events. Changes always are.",
        range: "`on` or `off`; each start with `off` is an audit event itself",
        default: "`on`",
        reason:
          "Who read what is unknown without. `off` is for an installation that reads so much that its database cannot hold a row for each.",
      },
    ),
  },
  outbound: {
    allow: define("KEYSTEAD_OUTBOUND_ALLOW", outboundAllow, {
      meaning:
        "What Keystead may call beyond the public internet, and over plain http, separated by commas: [the policy](outbound.md).",
      range:
        "0 to 500 entries, each a network in CIDR notation, an address or a host name; `namespace=` in front makes it one for integrations of that namespace",
      default: "nothing: only https to public addresses",
      reason:
        "Whoever may edit an Integration says where Keystead calls; without a limit that would be every address that its pods can reach.",
    }),
    proxy: define("HTTPS_PROXY", proxyUrl, {
      meaning:
        "An egress proxy through which https goes out. Keystead resolves and checks the name, and asks the proxy for a tunnel to the address.",
      range: "an `http://` or `https://` URL, which may hold a user name and password",
      default: "none: calls go out directly",
      reason: "Customers can allow-list the one address of a proxy; the name is the one that other programs read.",
    }),
    noProxy: define("NO_PROXY", commaSeparated.optional(), {
      meaning: "What is called directly although a proxy is set, separated by commas.",
      range: "`*`, host names with all below them, addresses, and networks in CIDR notation",
      default: "nothing",
      reason: "Services of the cluster are not reached through a proxy outside.",
      ignoredWhen: "HTTPS_PROXY is not set",
    }),
  },
  metrics: {
    port: define("KEYSTEAD_METRICS_PORT", port(9090), {
      meaning: "Port of `/metrics`, `/livez` and `/readyz`.",
      range: "0 to 65535; 0 takes a free port and logs it. `tcp://…` counts as unset, as for KEYSTEAD_API_PORT",
      default: "`9090`",
      reason:
        "Apart from the API, so that a network policy can open the one and not the other. Two processes of one pod need two ports.",
    }),
    host: define("KEYSTEAD_METRICS_HOST", listenAddress, {
      meaning: "Address that the metrics port listens on.",
      range: "an IP address or a host name of this machine",
      default: "all addresses, IPv6 and IPv4",
      reason: "The kubelet and Prometheus come from outside the pod.",
    }),
  },
  controller: {
    watchNamespaces: define(
      "KEYSTEAD_WATCH_NAMESPACES",
      commaSeparated.pipe(z.array(dnsLabel).max(500, "names more than 500 namespaces")).optional(),
      {
        meaning: "Namespaces whose resources the controller manages, separated by commas.",
        range: "0 to 500 namespace names",
        default: "all namespaces",
        reason:
          "Where a ClusterRole cannot be had, a Role in each namespace is enough, and one in kube-system that may get that namespace. One that cannot be listed is left out after 10 s.",
      },
    ),
    namespace: define("KEYSTEAD_NAMESPACE", dnsLabel.optional(), {
      meaning: "The controller's own namespace, where its Lease stands.",
      range: "a namespace name",
      default: "that of the pod's ServiceAccount or of the kubeconfig's context, else `default`",
      reason: "A Lease needs a namespace even when the controller runs outside the cluster.",
      ignoredWhen: "KEYSTEAD_LEADER_ELECTION is `false`",
    }),
    concurrency: define("KEYSTEAD_CONCURRENCY", wholeNumber(1, 500, 32), {
      meaning: "Resources of one kind that are reconciled at the same time.",
      range: "1 to 500 reconciles",
      default: "`32`",
      reason:
        "A reconcile mostly waits for the API server and the database; beyond 32 the API server's CPU is the limit and the rest queues there.",
    }),
    leaderElection: define("KEYSTEAD_LEADER_ELECTION", flag(true), {
      meaning:
        "Whether the controller waits for its Lease before it works. Without it a controller that starts takes over at once, and one that was at work ends at its next write.",
      range: "`true` or `false`",
      default: "`true`",
      reason: "Several replicas can stand by, and one works.",
    }),
    kubeconfig: define("KUBECONFIG", z.string().optional(), {
      meaning: "File that says how to reach the API server.",
      range: "a path",
      default: "the pod's ServiceAccount",
      reason:
        "The name is kubectl's. Unlike kubectl, a controller does not fall back to `~/.kube/config`: it would work on whatever cluster was used last.",
    }),
  },
} as const satisfies Record<keyof typeof READERS, Record<string, Variable<unknown>>>;

const SECTION_NAMES: readonly (keyof typeof READERS)[] = [
  "log",
  "installation",
  "encryption",
  "database",
  "migration",
  "api",
  "outbound",
  "metrics",
  "controller",
];

/** All of them in the order of the docs, each with the processes that read it. */
export function allVariables(): { variable: Variable<unknown>; readers: readonly string[] }[] {
  return SECTION_NAMES.flatMap((section) =>
    Object.values(VARIABLES[section]).map((variable) => ({ variable, readers: READERS[section] })),
  );
}
