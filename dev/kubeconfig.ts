import { readFileSync, writeFileSync } from "node:fs";
import { stringify } from "yaml";
import type { KeyPairFiles } from "./certificates.ts";

interface KubeconfigOptions {
  readonly url: string;
  /** PEM file of the authority behind the server's certificate. */
  readonly authority: string;
  /** Either a client certificate, or a file whose content is the bearer token (read again by clients as it changes). */
  readonly client: KeyPairFiles | { readonly tokenFile: string };
  /** Namespace of commands that name none. */
  readonly namespace?: string;
}

/** Writes a kubeconfig that needs no other file (but a token that is renewed) and gives its path. */
export function writeKubeconfig(path: string, options: KubeconfigOptions): string {
  const user =
    "tokenFile" in options.client
      ? { tokenFile: options.client.tokenFile }
      : {
          "client-certificate-data": base64(options.client.certificate),
          "client-key-data": base64(options.client.key),
        };
  const config = {
    apiVersion: "v1",
    kind: "Config",
    "current-context": "keystead",
    clusters: [
      { name: "keystead", cluster: { server: options.url, "certificate-authority-data": base64(options.authority) } },
    ],
    users: [{ name: "keystead", user }],
    contexts: [
      {
        name: "keystead",
        context: { cluster: "keystead", user: "keystead", namespace: options.namespace ?? "default" },
      },
    ],
  };
  writeFileSync(path, stringify(config), { mode: 0o600 });
  return path;
}

function base64(file: string): string {
  return readFileSync(file).toString("base64");
}
