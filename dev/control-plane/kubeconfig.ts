import { readFileSync } from "node:fs";
import { parse, stringify } from "yaml";
import { z } from "zod";
import { KeysteadError } from "../../src/errors.ts";
import type { KeyPairFiles } from "./certificates.ts";
import { writeText } from "../state-file.ts";

interface CertificateKubeconfig {
  readonly url: string;
  /** PEM file of the authority behind the server's certificate. */
  readonly authority: string;
  readonly client: KeyPairFiles;
}

/** Writes a kubeconfig that needs no other file and gives its path. */
export function writeKubeconfig(path: string, options: CertificateKubeconfig): string {
  const cluster = { server: options.url, "certificate-authority-data": base64(options.authority) };
  const user = {
    "client-certificate-data": base64(options.client.certificate),
    "client-key-data": base64(options.client.key),
  };
  return write(path, cluster, user, "default");
}

const oneCluster = z.object({ clusters: z.array(z.object({ cluster: z.record(z.string(), z.unknown()) })).length(1) });

/**
 * Writes a kubeconfig for the same cluster as another one that names exactly one, but for whoever the token in the file
 * belongs to. Clients read that file again as it changes.
 */
export function writeTokenKubeconfig(path: string, from: string, tokenFile: string, namespace: string): string {
  const parsed = oneCluster.safeParse(parse(readFileSync(from, "utf8")));
  const cluster = parsed.data?.clusters[0]?.cluster;
  if (!cluster)
    throw new KeysteadError("part_failed", `${from} does not name exactly one cluster`, { cause: parsed.error });
  return write(path, cluster, { tokenFile }, namespace);
}

function write(path: string, cluster: object, user: object, namespace: string): string {
  const name = "keystead";
  const config = {
    apiVersion: "v1",
    kind: "Config",
    "current-context": name,
    clusters: [{ name, cluster }],
    users: [{ name, user }],
    contexts: [{ name, context: { cluster: name, user: name, namespace } }],
  };
  writeText(path, stringify(config));
  return path;
}

function base64(file: string): string {
  return readFileSync(file).toString("base64");
}
