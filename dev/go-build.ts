import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { KeysteadError } from "../src/errors.ts";

const SOURCES = join(import.meta.dirname, "control-plane");

/** Stands for everything that decides what the build gives: the Go sources and the resolved modules. */
export function goBuildKey(): string {
  const hash = createHash("sha256");
  for (const module of ["etcd", "kubernetes"]) {
    for (const file of readdirSync(join(SOURCES, module)).toSorted()) {
      hash.update(`${module}/${file}\0`).update(readFileSync(join(SOURCES, module, file)));
    }
  }
  return hash.digest("hex").slice(0, 12);
}

export async function buildWithGo(target: string, version: string, progress: (line: string) => void): Promise<void> {
  progress(`building ${version} into ${target}`);
  throw new KeysteadError("part_failed", "not built yet");
}
