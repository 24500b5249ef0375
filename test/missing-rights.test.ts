import { afterAll, expect, test } from "vitest";
import { parse } from "yaml";
import { readFileSync } from "node:fs";
import { createInstallation } from "./support/keystead.ts";
import { conditionOf, environment } from "./support/resources.ts";

// What a user sees where the controller was given less than the chart gives.

const RBAC = "/apis/rbac.authorization.k8s.io/v1";
const GROUP = "rbac.authorization.k8s.io";

const installation = await createInstallation("narrow");
const { objects, namespace } = installation;
const { client } = objects;
const subjects = [{ kind: "ServiceAccount", name: "keystead-controller", namespace }];

afterAll(() => installation[Symbol.asyncDispose]());

/** Binds the controller to another role; a binding cannot be pointed elsewhere, only replaced. */
async function bindTo(name: string): Promise<void> {
  await client.request({ method: "DELETE", path: `${RBAC}/clusterrolebindings/${namespace}` });
  const body = { metadata: { name: namespace }, roleRef: { apiGroup: GROUP, kind: "ClusterRole", name }, subjects };
  await client.request({ method: "POST", path: `${RBAC}/clusterrolebindings`, body });
}

test("a right that is missing is Stalled with the call that was refused, and granting it heals with the next edit", async () => {
  const chart = readFileSync(new URL("../charts/keystead/files/controller-clusterrole.yaml", import.meta.url), "utf8");
  const { rules }: { rules: { resources?: string[]; verbs: string[] }[] } = parse(chart);
  const narrow = rules.map((rule) =>
    rule.resources?.includes("secrets") ? Object.assign(rule, { verbs: ["get", "list", "watch"] }) : rule,
  );
  const body = { metadata: { name: `${namespace}-narrow` }, rules: narrow };
  await client.request({ method: "POST", path: `${RBAC}/clusterroles`, body });
  await bindTo(`${namespace}-narrow`);
  installation.start("controller");
  await objects.apply(environment("production"));

  const stalled = await objects.reach(
    "environment/production",
    "Ready=False PermissionDenied",
    "Stalled=True PermissionDenied",
  );
  expect(conditionOf(stalled, "Stalled")?.message).toMatch(/cannot create resource \\?"secrets\\?".*ServiceAccount/);

  await bindTo("keystead-controller");
  await objects.apply(environment("production", { retention: "10d" }));
  await objects.ready("environment/production");
});
