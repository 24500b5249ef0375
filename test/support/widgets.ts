import type { KubeClient } from "../../src/kube/client.ts";
import type { KubeObject } from "../../src/kube/object.ts";
import type { ResourceKind } from "../../src/kube/resource-path.ts";
import { resourcePath } from "../../src/kube/resource-path.ts";
import { kubectl } from "./servers.ts";

/** A kind that has nothing to do with Keystead, for what holds for any kind: with a status, and a schema that can refuse. */
export const WIDGET: ResourceKind = { group: "test.keystead.dev", version: "v1", plural: "widgets", kind: "Widget" };

const DEFINITION = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.test.keystead.dev}
spec:
  group: test.keystead.dev
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget}
  versions:
    - name: v1
      served: true
      storage: true
      subresources: {status: {}}
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec: {type: object, x-kubernetes-preserve-unknown-fields: true}
            status: {type: object, x-kubernetes-preserve-unknown-fields: true, properties: {phase: {type: string}}}
`;

/** Any number of test files may call it at once. */
export async function installWidgets(): Promise<void> {
  await kubectl(["apply", "--server-side", "--field-manager=widgets", "-f", "-"], { stdin: DEFINITION });
  await kubectl(["wait", "--for=condition=Established", "--timeout=30s", "crd/widgets.test.keystead.dev"]);
}

export interface Widget extends KubeObject {
  readonly path: string;
}

/** Makes one, named `widget` unless told otherwise. */
export async function makeWidget(client: KubeClient, namespace: string, name = "widget"): Promise<Widget> {
  const body = { apiVersion: "test.keystead.dev/v1", kind: "Widget", metadata: { name }, spec: {} };
  const made = await client.request<KubeObject>({ method: "POST", path: resourcePath(WIDGET, { namespace }), body });
  return { ...made, path: resourcePath(WIDGET, { namespace, name }) };
}

/** As it is now. */
export async function readWidget(client: KubeClient, widget: Widget): Promise<Widget> {
  return { ...(await client.request<KubeObject>({ method: "GET", path: widget.path })), path: widget.path };
}
