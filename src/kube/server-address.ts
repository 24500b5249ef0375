import type { Bearer } from "./token-file.ts";

/** Where the API server is and how it is recognised. */
export interface ServerAddress {
  readonly protocol: "https:" | "http:";
  readonly host: string;
  readonly port: number;
  /** Path in front of every other, without a slash at its end; empty in most clusters. */
  readonly basePath: string;
  readonly tls: TlsIdentity;
}

/** PEM texts; what is absent is left to Node's own CAs, or not shown. */
export interface TlsIdentity {
  readonly ca?: string | Buffer | undefined;
  /** Client certificate and its key, PEM. */
  readonly cert?: string | Buffer | undefined;
  readonly key?: string | Buffer | undefined;
  /** Name that the server's certificate must carry, where it differs from the host. */
  readonly serverName?: string | undefined;
  readonly skipVerify: boolean;
}

/** Who calls the API server, and which one. */
export interface Identity {
  readonly server: ServerAddress;
  /** Absent where the client certificate is all. */
  readonly bearer?: Bearer | undefined;
  /** Namespace of the process (in a cluster) or of the context. */
  readonly namespace: string;
}
