// The library's dependency injection needs this polyfill before it is loaded.
// oxlint-disable-next-line import/no-unassigned-import -- a polyfill exports nothing
import "reflect-metadata";
import * as x509 from "@peculiar/x509";
import { KeyObject, X509Certificate, generateKeyPairSync } from "node:crypto";
import type { webcrypto } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Paths of PEM files. */
export interface KeyPairFiles {
  readonly certificate: string;
  readonly key: string;
}

/** Everything the parts of a control plane need to know each other. */
export interface CertificateFiles {
  readonly authority: string;
  /** Serves kube-apiserver and etcd, and is the API server's client certificate towards etcd. */
  readonly server: KeyPairFiles;
  readonly admin: KeyPairFiles;
  readonly controllerManager: KeyPairFiles;
  /** RSA key pair that signs ServiceAccount tokens. */
  readonly serviceAccount: { readonly publicKey: string; readonly key: string };
}

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

/** Ten years: kubeconfigs that people copied keep working, and no workbench lives longer. */
const VALID_YEARS = 10;

/** Names under which a client may reach the servers: loopback, and the address the `kubernetes` Service has inside a cluster. */
const SERVER_NAMES: x509.JsonGeneralNames = [
  { type: "dns", value: "localhost" },
  { type: "dns", value: "kubernetes.default.svc" },
  { type: "ip", value: "127.0.0.1" },
  { type: "ip", value: "10.0.0.1" },
];

/**
 * The certificates of a directory; made on the first call, the same ones afterwards, made anew when they have expired.
 * The authority's own key is never written: it signs the three certificates and is forgotten, so nobody who reads
 * the directory can make a fourth.
 */
export async function ensureCertificates(directory: string): Promise<CertificateFiles> {
  const files = filesIn(directory);
  // The last file to be written: a start that was killed half-way makes all of them again.
  if (existsSync(files.controllerManager.certificate) && !expired(files.authority)) return files;

  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const authority = await makeAuthority();
  write(files.authority, authority.certificate.toString("pem"));
  writeServiceAccountKeys(files);
  await issue(authority, files.server, "CN=kube-apiserver", SERVER_NAMES);
  await issue(authority, files.admin, "CN=keystead-admin, O=system:masters");
  await issue(authority, files.controllerManager, "CN=system:kube-controller-manager");
  return files;
}

interface Authority {
  readonly certificate: x509.X509Certificate;
  readonly key: webcrypto.CryptoKey;
}

function filesIn(directory: string): CertificateFiles {
  const pair = (name: string): KeyPairFiles => ({
    certificate: join(directory, `${name}.crt`),
    key: join(directory, `${name}.key`),
  });
  return {
    authority: join(directory, "authority.crt"),
    server: pair("server"),
    admin: pair("admin"),
    controllerManager: pair("controller-manager"),
    serviceAccount: { publicKey: join(directory, "service-account.pub"), key: join(directory, "service-account.key") },
  };
}

function expired(path: string): boolean {
  return Date.parse(new X509Certificate(readFileSync(path)).validTo) < Date.now();
}

function validity(): { notBefore: Date; notAfter: Date } {
  const notBefore = new Date();
  const notAfter = new Date(notBefore);
  notAfter.setFullYear(notAfter.getFullYear() + VALID_YEARS);
  return { notBefore, notAfter };
}

async function makeAuthority(): Promise<Authority> {
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: "CN=keystead-workbench",
    keys,
    ...validity(),
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
    ],
  });
  return { certificate, key: keys.privateKey };
}

async function issue(
  authority: Authority,
  files: KeyPairFiles,
  subject: string,
  names?: x509.JsonGeneralNames,
): Promise<void> {
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const usages = [x509.ExtendedKeyUsage.clientAuth, ...(names ? [x509.ExtendedKeyUsage.serverAuth] : [])];
  const certificate = await x509.X509CertificateGenerator.create({
    subject,
    issuer: authority.certificate.subject,
    publicKey: keys.publicKey,
    signingKey: authority.key,
    ...validity(),
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension(usages),
      ...(names ? [new x509.SubjectAlternativeNameExtension(names)] : []),
    ],
  });
  write(files.key, KeyObject.from(keys.privateKey).export({ type: "pkcs8", format: "pem" }));
  write(files.certificate, certificate.toString("pem"));
}

function writeServiceAccountKeys(files: CertificateFiles): void {
  const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  write(files.serviceAccount.key, privateKey.export({ type: "pkcs8", format: "pem" }));
  write(files.serviceAccount.publicKey, publicKey.export({ type: "spki", format: "pem" }));
}

function write(path: string, pem: string | Buffer): void {
  writeFileSync(path, pem, { mode: 0o600 });
}
