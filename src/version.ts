import { readFileSync } from "node:fs";

/** Version of this Keystead, from the package it is part of. The sources and the emitted code lie equally deep in it. */
export const VERSION: string = readVersion(readFileSync(new URL("../package.json", import.meta.url), "utf8"));

function readVersion(text: string): string {
  const parsed: unknown = JSON.parse(text);
  const isPackage = typeof parsed === "object" && parsed !== null && "version" in parsed;
  return isPackage ? String(parsed.version) : "unknown";
}
