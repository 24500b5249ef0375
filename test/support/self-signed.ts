// The library's dependency injection needs this polyfill before it is loaded.
// oxlint-disable-next-line import/no-unassigned-import -- a polyfill exports nothing
import "reflect-metadata";
import * as x509 from "@peculiar/x509";
import { KeyObject } from "node:crypto";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const HOUR_MS = 3_600_000;

/** A certificate in PEM that whoever trusts it accepts for these names, with its key. */
export interface SelfSigned {
  readonly cert: string;
  readonly key: string;
}

export async function selfSigned(...names: readonly string[]): Promise<SelfSigned> {
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: `CN=${names[0]}`,
    keys,
    notBefore: new Date(Date.now() - HOUR_MS),
    notAfter: new Date(Date.now() + 24 * HOUR_MS),
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.SubjectAlternativeNameExtension(names.map((value) => ({ type: "dns", value }))),
    ],
  });
  return {
    cert: certificate.toString("pem"),
    key: KeyObject.from(keys.privateKey).export({ type: "pkcs8", format: "pem" }).toString(),
  };
}
