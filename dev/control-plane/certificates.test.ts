import { X509Certificate, createPrivateKey } from "node:crypto";
import { readFileSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryDirectory } from "../../test/support/temporary-directory.ts";
import { ensureCertificates } from "./certificates.ts";

const certificate = (path: string): X509Certificate => new X509Certificate(readFileSync(path));

test("every certificate is the authority's, fits its key and carries the identity that RBAC knows", async () => {
  using folder = temporaryDirectory();
  const files = await ensureCertificates(folder.path);
  const authority = certificate(files.authority);
  const subjects: [{ certificate: string; key: string }, string][] = [
    [files.server, "CN=kube-apiserver"],
    [files.admin, "O=system:masters"],
    [files.controllerManager, "CN=system:kube-controller-manager"],
  ];
  for (const [pair, subject] of subjects) {
    const issued = certificate(pair.certificate);
    expect(issued.verify(authority.publicKey), subject).toBe(true);
    expect(issued.checkPrivateKey(createPrivateKey(readFileSync(pair.key))), subject).toBe(true);
    expect(issued.subject).toContain(subject);
    expect(issued.ca).toBe(false);
  }
  const server = certificate(files.server.certificate);
  expect(server.checkHost("localhost")).toBe("localhost");
  expect(server.checkIP("127.0.0.1")).toBe("127.0.0.1");
});

test("the authority's key is nowhere, and every file is for its owner only", async () => {
  using folder = temporaryDirectory();
  const files = await ensureCertificates(folder.path);
  const authority = certificate(files.authority);
  for (const name of readdirSync(folder.path)) {
    const path = join(folder.path, name);
    expect((statSync(path).mode & 0o777).toString(8), name).toBe("600");
    if (name.endsWith(".key"))
      expect(authority.checkPrivateKey(createPrivateKey(readFileSync(path))), name).toBe(false);
  }
});

test("a second call gives the same certificates, so copied kubeconfigs go on working", async () => {
  using folder = temporaryDirectory();
  const first = readFileSync((await ensureCertificates(folder.path)).admin.certificate);
  expect(readFileSync((await ensureCertificates(folder.path)).admin.certificate)).toEqual(first);
});

test("a first start that was killed half-way leaves nothing that a later one trusts", async () => {
  using folder = temporaryDirectory();
  const before = await ensureCertificates(folder.path);
  const authority = readFileSync(before.authority);
  rmSync(before.controllerManager.certificate);
  const files = await ensureCertificates(folder.path);
  expect(readFileSync(files.authority)).not.toEqual(authority);
  expect(certificate(files.admin.certificate).verify(certificate(files.authority).publicKey)).toBe(true);
});
