import { parseAllDocuments } from "yaml";
import type { KubeClient } from "../../src/kube/client.ts";
import { crdYaml } from "../../src/resources/crd.ts";
import { eventually } from "./eventually.ts";

const CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/** Installs the CRDs into a control plane that has none, and resolves when objects of them can be made. */
export async function installCrds(client: KubeClient): Promise<void> {
  for (const document of parseAllDocuments(crdYaml())) {
    await client.request({ method: "POST", path: CRDS, body: document.toJS() });
  }
  for (const plural of ["environments", "integrations", "connections"]) {
    await eventually(() => client.request({ method: "GET", path: `/apis/keystead.dev/v1alpha1/${plural}` }));
  }
}
