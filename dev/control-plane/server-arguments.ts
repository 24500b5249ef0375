import { join } from "node:path";
import { z } from "zod";
import { writeAuditPolicy } from "./audit-policy.ts";
import type { CertificateFiles } from "./certificates.ts";

/** Ports of 127.0.0.1, as they are kept between starts. */
export const portsShape = z.object({ api: z.int(), etcd: z.int(), etcdPeer: z.int() });
export type Ports = z.infer<typeof portsShape>;

/** What the servers' arguments depend on beside ports and certificates. */
export interface ServerSettings {
  readonly directory: string;
  readonly durable: boolean;
  readonly audit: boolean;
}

export function etcdArguments(ports: Ports, certificates: CertificateFiles, settings: ServerSettings): string[] {
  const { server, authority } = certificates;
  // Mutual TLS even on loopback: etcd holds every Secret in the clear, and other users of the machine reach loopback too.
  const tls = (prefix: string): string[] => [
    `--${prefix}cert-file=${server.certificate}`,
    `--${prefix}key-file=${server.key}`,
    `--${prefix}trusted-ca-file=${authority}`,
    `--${prefix}client-cert-auth`,
  ];
  const client = `https://127.0.0.1:${ports.etcd}`;
  const peer = `https://127.0.0.1:${ports.etcdPeer}`;
  return [
    "--name=default",
    `--data-dir=${join(settings.directory, "etcd")}`,
    `--listen-client-urls=${client}`,
    `--advertise-client-urls=${client}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=default=${peer}`,
    ...tls(""),
    ...tls("peer-"),
    "--log-level=warn",
    ...(settings.durable ? [] : ["--unsafe-no-fsync"]),
  ];
}

export function apiServerArguments(ports: Ports, certificates: CertificateFiles, settings: ServerSettings): string[] {
  const { server, authority, serviceAccount } = certificates;
  return [
    `--etcd-servers=https://127.0.0.1:${ports.etcd}`,
    `--etcd-cafile=${authority}`,
    `--etcd-certfile=${server.certificate}`,
    `--etcd-keyfile=${server.key}`,
    "--bind-address=127.0.0.1",
    "--advertise-address=127.0.0.1",
    `--secure-port=${ports.api}`,
    // There is no network in which an endpoint of the `kubernetes` Service would be of use.
    "--endpoint-reconciler-type=none",
    `--tls-cert-file=${server.certificate}`,
    `--tls-private-key-file=${server.key}`,
    `--client-ca-file=${authority}`,
    "--service-account-issuer=https://kubernetes.default.svc",
    `--service-account-key-file=${serviceAccount.publicKey}`,
    `--service-account-signing-key-file=${serviceAccount.key}`,
    "--service-cluster-ip-range=10.0.0.0/24",
    "--authorization-mode=RBAC",
    "--profiling=false",
    ...(settings.audit ? auditArguments(settings.directory) : []),
  ];
}

function auditArguments(directory: string): string[] {
  return [
    `--audit-policy-file=${writeAuditPolicy(directory)}`,
    `--audit-log-path=${join(directory, "audit.log")}`,
    "--audit-log-mode=batch",
  ];
}

export function controllerManagerArguments(kubeconfig: string, certificates: CertificateFiles): string[] {
  return [
    `--kubeconfig=${kubeconfig}`,
    // What an operator's users notice when it is missing; the others serve pods, nodes and volumes, of which there are none.
    "--controllers=garbage-collector-controller,namespace-controller",
    "--leader-elect=false",
    // Each controller with the role made for it, as in a real cluster: that of the manager alone may delete nothing.
    "--use-service-account-credentials",
    "--kube-api-qps=1000",
    "--kube-api-burst=1000",
    "--secure-port=0",
    `--root-ca-file=${certificates.authority}`,
    "--profiling=false",
  ];
}
