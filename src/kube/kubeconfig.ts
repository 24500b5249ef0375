import { readFile } from "node:fs/promises";
import { delimiter, dirname, resolve } from "node:path";
import { parse } from "yaml";
import { z } from "zod";
import { KeysteadError } from "../errors.ts";
import type { Identity, ServerAddress } from "./server-address.ts";
import { askCredentialPlugin } from "./kubeconfig-exec.ts";
import type { Bearer } from "./token-file.ts";
import { fixedToken, tokenFile } from "./token-file.ts";

const clusterSchema = z.object({
  server: z.string(),
  "certificate-authority": z.string().optional(),
  "certificate-authority-data": z.string().optional(),
  "tls-server-name": z.string().optional(),
  "insecure-skip-tls-verify": z.boolean().optional(),
  "proxy-url": z.string().optional(),
});

const userSchema = z.object({
  "client-certificate": z.string().optional(),
  "client-certificate-data": z.string().optional(),
  "client-key": z.string().optional(),
  "client-key-data": z.string().optional(),
  token: z.string().optional(),
  tokenFile: z.string().optional(),
  username: z.string().optional(),
  password: z.string().optional(),
  exec: z.unknown().optional(),
  "auth-provider": z.unknown().optional(),
});

const contextSchema = z.object({ cluster: z.string(), user: z.string(), namespace: z.string().optional() });

// `null` is how kubectl writes an empty list.
const kubeconfigSchema = z.object({
  "current-context": z.string().optional(),
  clusters: z.array(z.object({ name: z.string(), cluster: clusterSchema })).nullish(),
  users: z.array(z.object({ name: z.string(), user: userSchema.nullish() })).nullish(),
  contexts: z.array(z.object({ name: z.string(), context: contextSchema })).nullish(),
});

type Kubeconfig = z.infer<typeof kubeconfigSchema>;
type Cluster = z.infer<typeof clusterSchema>;
type User = z.infer<typeof userSchema>;

interface KubeconfigFile {
  readonly path: string;
  readonly content: Kubeconfig;
}

/** A part of a kubeconfig with the folder that its relative paths start from. */
interface Located<T> {
  readonly value: T;
  readonly directory: string;
}

/**
 * Identity out of one or several kubeconfig files (separated as in `PATH`; of two entries with one name the first counts,
 * as with kubectl). Certificates are read once; a token file is read again as it changes.
 *
 * `exec` and `auth-provider` users need the optional package `@kubernetes/client-node`, which is loaded only for them.
 */
export async function loadKubeconfig(paths: string, contextName: string | undefined): Promise<Identity> {
  const files = await Promise.all(
    paths
      .split(delimiter)
      .filter((path) => path !== "")
      .map(readKubeconfig),
  );
  const chosen = contextName ?? files.map((file) => file.content["current-context"]).find((name) => name);
  if (chosen === undefined) throw invalid(paths, "no current-context is set and none was named");

  const { context } = find(files, paths, "context", chosen, (content) => content.contexts).value;
  const cluster = find(files, paths, "cluster", context.cluster, (content) => content.clusters);
  const user = find(files, paths, "user", context.user, (content) => content.users);
  const credentials = { value: user.value.user ?? {}, directory: user.directory };
  const server = await serverOf(paths, { value: cluster.value.cluster, directory: cluster.directory }, credentials);
  const namespace = context.namespace ?? "default";
  if (!usesPlugin(credentials.value)) return { server, bearer: bearerOf(paths, credentials), namespace };

  const plugin = await askCredentialPlugin({
    path: paths,
    directory: user.directory,
    cluster: cluster.value.cluster,
    user: credentials.value,
  });
  return { server: { ...server, tls: { ...server.tls, ...plugin.tls } }, bearer: plugin.bearer, namespace };
}

async function readKubeconfig(path: string): Promise<KubeconfigFile> {
  let content: unknown;
  try {
    content = parse(await readFile(path, "utf8"));
  } catch (cause) {
    throw new KeysteadError("kube_identity_invalid", `The kubeconfig ${path} cannot be read as YAML`, { cause });
  }
  const parsed = kubeconfigSchema.safeParse(content ?? {});
  if (!parsed.success) {
    // Only where and what kind: the value beside a wrong one may be a key.
    const where = parsed.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`).join("; ");
    throw invalid(path, where);
  }
  return { path, content: parsed.data };
}

function find<T extends { name: string }>(
  files: readonly KubeconfigFile[],
  paths: string,
  what: string,
  name: string,
  listOf: (content: Kubeconfig) => readonly T[] | null | undefined,
): Located<T> {
  for (const file of files) {
    const value = listOf(file.content)?.find((entry) => entry.name === name);
    if (value !== undefined) return { value, directory: dirname(file.path) };
  }
  throw invalid(paths, `it has no ${what} named ${JSON.stringify(name)}`);
}

async function serverOf(paths: string, cluster: Located<Cluster>, user: Located<User>): Promise<ServerAddress> {
  const { value } = cluster;
  const url = URL.parse(value.server);
  if (url === null || (url.protocol !== "https:" && url.protocol !== "http:")) {
    throw invalid(paths, `server ${JSON.stringify(value.server)} is not an http or https URL`);
  }
  if (value["proxy-url"] !== undefined) throw invalid(paths, "proxy-url is not supported");
  const [ca, cert, key] = await Promise.all([
    material(cluster.directory, value["certificate-authority-data"], value["certificate-authority"]),
    material(user.directory, user.value["client-certificate-data"], user.value["client-certificate"]),
    material(user.directory, user.value["client-key-data"], user.value["client-key"]),
  ]);
  return {
    protocol: url.protocol,
    // An IPv6 host stands in brackets in a URL, and without them everywhere else.
    host: url.hostname.replace(/^\[(.*)\]$/, "$1"),
    port: url.port === "" ? (url.protocol === "https:" ? 443 : 80) : Number(url.port),
    basePath: url.pathname.replace(/\/+$/, ""),
    tls: {
      ca,
      cert,
      key,
      serverName: value["tls-server-name"],
      skipVerify: value["insecure-skip-tls-verify"] ?? false,
    },
  };
}

async function material(
  directory: string,
  data: string | undefined,
  path: string | undefined,
): Promise<Buffer | undefined> {
  if (data !== undefined && data !== "") return Buffer.from(data, "base64");
  if (path === undefined || path === "") return undefined;
  const full = resolve(directory, path);
  try {
    return await readFile(full);
  } catch (cause) {
    throw new KeysteadError("kube_identity_invalid", `${full}, named by the kubeconfig, cannot be read`, { cause });
  }
}

/** A token of its own wins over a plugin, as with kubectl. */
function usesPlugin(user: User): boolean {
  if (user.token !== undefined || user.tokenFile !== undefined) return false;
  return user.exec !== undefined || user["auth-provider"] !== undefined;
}

function bearerOf(paths: string, { value, directory }: Located<User>): Bearer | undefined {
  if (value.tokenFile !== undefined && value.tokenFile !== "") return tokenFile(resolve(directory, value.tokenFile));
  if (value.token !== undefined && value.token !== "") return fixedToken(value.token);
  if (value.username !== undefined) {
    throw invalid(paths, "users with username and password are not supported: API servers dropped them in 1.19");
  }
  return undefined;
}

function invalid(path: string, why: string): KeysteadError {
  return new KeysteadError("kube_identity_invalid", `The kubeconfig ${path} cannot be used: ${why}`);
}
