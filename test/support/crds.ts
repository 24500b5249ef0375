import { crdYaml } from "../../src/resources/crd.ts";
import { kubectl } from "./servers.ts";

let installed: Promise<void> | undefined;

/**
 * Installs the CRDs into the run's control plane and resolves when objects of them can be made. Test files may all call
 * it at once: a server-side apply of the same text by the same manager changes nothing the second time.
 */
export function installCrds(): Promise<void> {
  installed ??= install();
  return installed;
}

async function install(): Promise<void> {
  const crds = ["environments", "integrations", "connections"].map((plural) => `crd/${plural}.keystead.dev`);
  await kubectl(["apply", "--server-side", "--field-manager=keystead-tests", "-f", "-"], { stdin: crdYaml() });
  await kubectl(["wait", "--for=condition=Established", "--timeout=30s", ...crds]);
}
