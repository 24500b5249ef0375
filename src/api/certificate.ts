import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { asKeysteadError, KeysteadError } from "../errors.ts";

/** Where a certificate is, as a mounted Secret of type `kubernetes.io/tls` has it. */
export interface CertificateFiles {
  /** PEM: the certificate, then those that lead to a root. */
  readonly certFile: string;
  /** PEM, not encrypted. */
  readonly keyFile: string;
}

/** A certificate that belongs to its key. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
  readonly expiresAt: Date;
}

/** A Secret that changes is in the files of a pod a minute later anyway. */
const LOOK_INTERVAL_MS = 10_000;

/** Rejects with `configuration_invalid`, which says what is wrong with which file and shows nothing of either. */
export async function readCertificate({ certFile, keyFile }: CertificateFiles): Promise<Certificate> {
  const [cert, key] = [await readText(certFile), await readText(keyFile)];
  const certificate = parsed(certFile, "certificate", () => new X509Certificate(cert));
  const privateKey = parsed(keyFile, "private key without a passphrase", () => createPrivateKey(key));
  if (!certificate.checkPrivateKey(privateKey)) {
    throw new KeysteadError("configuration_invalid", `${keyFile} is not the key of the certificate in ${certFile}`);
  }
  return { cert, key, expiresAt: certificate.validToDate };
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    throw new KeysteadError("configuration_invalid", `${file} cannot be read`, { cause });
  }
}

/** What OpenSSL says stays out: it may hold a part of the file. */
function parsed<T>(file: string, what: string, parse: () => T): T {
  try {
    return parse();
  } catch {
    throw new KeysteadError("configuration_invalid", `${file} holds no PEM ${what}`);
  }
}

interface WatchOptions {
  readonly files: CertificateFiles;
  /** The one in use. */
  readonly current: Certificate;
  readonly use: (certificate: Certificate) => void;
  readonly log: { info(fields: object, message: string): void; warn(fields: object, message: string): void };
  readonly intervalMs?: number;
}

/**
 * Looks at the files again and again, and hands over what is new. What cannot be used is said once, when it was there for
 * two looks: the two files may be written one after the other. Until then the one before stays in use.
 */
export function watchCertificate(options: WatchOptions): Disposable {
  const { files, use, log, intervalMs = LOOK_INTERVAL_MS } = options;
  let { current } = options;
  let complaint: string | undefined;
  let said: string | undefined;
  const look = async (): Promise<void> => {
    try {
      const found = await readCertificate(files);
      complaint = undefined;
      said = undefined;
      if (found.cert === current.cert && found.key === current.key) return;
      current = found;
      use(found);
      log.info({ expiresAt: found.expiresAt }, "the certificate was renewed");
    } catch (thrown) {
      const error = asKeysteadError(thrown);
      if (error.message === complaint && error.message !== said) {
        said = complaint;
        log.warn({ error, expiresAt: current.expiresAt }, "the new certificate cannot be used; the one before stays");
      }
      complaint = error.message;
    }
  };
  let looking = false;
  const timer = setInterval(() => {
    if (looking) return;
    looking = true;
    void look().finally(() => (looking = false));
  }, intervalMs);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
