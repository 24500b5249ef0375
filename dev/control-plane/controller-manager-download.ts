import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { KeysteadError } from "../../src/errors.ts";
import { download } from "./download.ts";
import { ARCHITECTURE } from "./envtest-archive.ts";

/** The releases of the Kubernetes project; KEYSTEAD_KUBERNETES_RELEASES_URL names a mirror. */
const RELEASES_URL = "https://dl.k8s.io/release";

const CHECKSUM_DEADLINE_MS = 10_000;

/** As for the envtest archive, which is about as large. */
const PROGRAM_DEADLINE_MS = 600_000;

/**
 * Puts kube-controller-manager, which the envtest archive lacks, into the folder. The checksum comes from the same place, so it tells
 * a download that went wrong, not a server that lies: that is TLS's. Throws `part_failed` with a message that reads as a reason.
 */
export async function downloadControllerManager(
  folder: string,
  release: string,
  progress: (line: string) => void,
): Promise<void> {
  if (process.platform !== "linux")
    throw new KeysteadError("part_failed", "The Kubernetes project publishes kube-controller-manager for Linux only");
  const releases = process.env["KEYSTEAD_KUBERNETES_RELEASES_URL"] ?? RELEASES_URL;
  const url = `${releases}/${release}/bin/linux/${ARCHITECTURE}/kube-controller-manager`;
  const what = `kube-controller-manager ${release}`;
  const checksum = await download(`${url}.sha256`, {
    what: `the checksum of ${what}`,
    deadlineMs: CHECKSUM_DEADLINE_MS,
    progress,
  });
  const program = await download(url, { what, deadlineMs: PROGRAM_DEADLINE_MS, progress });
  if (createHash("sha256").update(program).digest("hex") !== checksum.toString().trim())
    throw new KeysteadError("part_failed", `${url} is not what its SHA-256 promises`);
  writeFileSync(join(folder, "kube-controller-manager"), program, { mode: 0o755 });
}
