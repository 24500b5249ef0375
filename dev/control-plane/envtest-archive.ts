import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { parse } from "yaml";
import { z } from "zod";
import { KeysteadError } from "../../src/errors.ts";
import { download } from "./download.ts";

/** This machine's, by the name that Go programs have for it. */
export const ARCHITECTURE = process.arch === "x64" ? "amd64" : process.arch;

/** The list that setup-envtest uses as well; KEYSTEAD_ENVTEST_INDEX_URL names a mirror. */
const INDEX_URL = "https://raw.githubusercontent.com/kubernetes-sigs/controller-tools/HEAD/envtest-releases.yaml";

const archiveShape = z.object({ hash: z.string().regex(/^[0-9a-f]{128}$/), selfLink: z.url() });
const indexShape = z.object({ releases: z.record(z.string(), z.record(z.string(), archiveShape)) });

/** The index is 100 KB: who has not answered by then is not reachable, and a build with Go should not wait for it. */
const INDEX_DEADLINE_MS = 10_000;

/** 70 MB in ten minutes is 1 Mbit/s. */
const ARCHIVE_DEADLINE_MS = 600_000;

/**
 * Downloads the newest envtest archive of the same Kubernetes minor version, checks its SHA-512 against the index and unpacks etcd,
 * kube-apiserver and kubectl into the folder. Resolves with the release's name. Throws `part_failed` with a message that reads as a reason.
 */
export async function downloadEnvtest(
  folder: string,
  version: string,
  progress: (line: string) => void,
): Promise<string> {
  const indexUrl = process.env["KEYSTEAD_ENVTEST_INDEX_URL"] ?? INDEX_URL;
  const list = await download(indexUrl, { what: "the envtest index", deadlineMs: INDEX_DEADLINE_MS, progress });
  const index = indexShape.safeParse(parse(list.toString("utf8")));
  if (!index.success)
    throw new KeysteadError("part_failed", `The envtest index ${indexUrl} has an unknown form`, { cause: index.error });

  const platform = `${process.platform}-${ARCHITECTURE}`;
  const { release, archive } = newest(index.data, version, platform);
  const what = `etcd, kube-apiserver and kubectl ${release} for ${platform}`;
  const bytes = await download(archive.selfLink, { what, deadlineMs: ARCHIVE_DEADLINE_MS, progress });
  const hash = createHash("sha512").update(bytes).digest("hex");
  if (hash !== archive.hash) {
    throw new KeysteadError(
      "part_failed",
      `The envtest archive ${archive.selfLink} is not what its index promises (SHA-512 ${hash.slice(0, 16)}…, expected ${archive.hash.slice(0, 16)}…)`,
    );
  }
  await unpack(bytes, folder);
  return release;
}

type Index = z.infer<typeof indexShape>;

function newest(
  index: Index,
  version: string,
  platform: string,
): { release: string; archive: z.infer<typeof archiveShape> } {
  const minor = version.slice(0, version.lastIndexOf(".") + 1);
  const patch = (release: string): number => Number(release.slice(minor.length));
  // Pre-releases have a suffix and so no number for a patch.
  const releases = Object.keys(index.releases).filter(
    (release) => release.startsWith(minor) && Number.isInteger(patch(release)),
  );
  for (const release of releases.toSorted((one, other) => patch(other) - patch(one))) {
    const archive = index.releases[release]?.[`envtest-${release}-${platform}.tar.gz`];
    if (archive) return { release, archive };
  }
  throw new KeysteadError("part_failed", `There is no envtest archive of Kubernetes ${minor}x for ${platform}`);
}

function unpack(archive: Buffer, folder: string): Promise<void> {
  // Every archive holds its programs in controller-tools/envtest/.
  const tar = spawn("tar", ["-xzf", "-", "--strip-components=2", "-C", folder], { stdio: ["pipe", "ignore", "pipe"] });
  let said = "";
  tar.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
  return new Promise((resolve, reject) => {
    tar.once("error", (error) => reject(new KeysteadError("part_failed", "tar is not installed", { cause: error })));
    tar.once("close", (exitCode) => {
      if (exitCode === 0) resolve();
      else reject(new KeysteadError("part_failed", `The envtest archive cannot be unpacked: ${said.trim()}`));
    });
    tar.stdin.on("error", () => {});
    tar.stdin.end(archive);
  });
}
