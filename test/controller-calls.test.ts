import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { controllerCalls } from "./support/audit-log.ts";
import { referenceTo } from "./support/cluster.ts";
import { withClient } from "./support/database.ts";
import { eventually } from "./support/eventually.ts";
import { createInstallation, type Installation } from "./support/keystead.ts";
import { canary } from "./support/leaks.ts";
import { connection, environment, integration, secret } from "./support/resources.ts";

// The rights that the chart gives the controller, against what the API server's audit log says that it asked for.

/** One that is there: the controller's own. */
const serviceAccounts = [{ name: "keystead-controller", scopes: ["connections:list"] }];

const HOLD = "example.com/hold";
const parents = { environment: "production", integration: "stripe" };

interface Rule {
  readonly apiGroups?: readonly string[];
  readonly resources?: readonly string[];
  readonly nonResourceURLs?: readonly string[];
  readonly verbs: readonly string[];
}

/** Every right of a file of the chart, as `verb group/resource`. */
function rightsIn(file: string): string[] {
  const text = readFileSync(new URL(`../charts/keystead/files/${file}`, import.meta.url), "utf8");
  const { rules }: { rules: readonly Rule[] } = parse(text);
  return rules.flatMap(({ apiGroups = [], resources = [], nonResourceURLs = [], verbs }) => {
    const objects = apiGroups.flatMap((group) => resources.map((resource) => `${group}/${resource}`));
    return objects.concat(nonResourceURLs).flatMap((path) => verbs.map((verb) => `${verb} ${path}`));
  });
}

/** The rights that were used, in the same form. */
function rightsUsed(installation: Installation): Set<string> {
  return new Set(
    controllerCalls(installation.namespace).map(({ verb, requestURI, objectRef }) => {
      if (!objectRef) return `${verb} ${requestURI}`;
      const { apiGroup = "", resource, subresource } = objectRef;
      return [`${verb} ${apiGroup}/${resource}`, subresource].filter((part) => part !== undefined).join("/");
    }),
  );
}

/** Makes the same trouble twice, so that its event is counted. */
async function stallTwice({ objects }: Installation): Promise<void> {
  for (let time = 0; time < 2; time += 1) {
    await objects.apply(secret("acme", { token: "" }));
    await objects.reach("connection/acme", "Ready=False InvalidSecretValue", "Stalled=True InvalidSecretValue");
    await objects.apply(secret("acme", { token: canary(`token-${time}`) }));
    await objects.ready("connection/acme");
  }
}

/**
 * Deletes the resources while their rows are locked, and takes a finalizer of somebody else away meanwhile: what the
 * controller then patches is no longer as the watch showed it when the pass began.
 */
async function deleteUnderItsHands({ objects, database }: Installation): Promise<void> {
  const references = ["connection/acme", "integration/stripe", "environment/production"] as const;
  await withClient(database.ownerUrl, async (client) => {
    await client.query("begin");
    await client.query(
      "lock table keystead.connections, keystead.integrations, keystead.environments in access exclusive mode",
    );
    for (const reference of references) await objects.startDelete(reference);
    await eventually(async () => {
      const { rowCount } = await client.query(
        `select from pg_locks l join pg_database d on d.oid = l.database
          where not granted and datname = current_database()`,
      );
      expect(rowCount).toBe(references.length);
    });
    const ours = ["keystead.dev/finalizer"];
    for (const reference of references) await objects.patch(reference, { metadata: { finalizers: ours } });
    await client.query("rollback");
  });
  await objects.delete(...references);
}

test("in a whole life of resources the controller is forbidden nothing, and needs every right that it has", async () => {
  await using installation = await createInstallation("calls");
  const { objects } = installation;
  const controller = installation.start("controller");
  const held = { finalizers: [HOLD] };
  const manifests = [
    { ...environment("production", { serviceAccounts }), metadata: { name: "production", ...held } },
    { ...integration("stripe", "production"), metadata: { name: "stripe", ...held } },
    connection("acme", parents, {}, held),
  ];
  await objects.apply(secret("acme", { token: canary("token") }), ...manifests);
  await objects.ready(...manifests.map(referenceTo));

  await stallTwice(installation);
  await objects.patch("secret/production-keystead", { stringData: { KEYSTEAD_HOST: "wrong" } });
  await eventually(async () => {
    const calls = controllerCalls(installation.namespace);
    expect(calls.some(({ verb, objectRef }) => verb === "patch" && objectRef?.resource === "secrets")).toBe(true);
  });
  await deleteUnderItsHands(installation);
  expect(await controller.end()).toBe(0);

  const refused = controllerCalls(installation.namespace).filter(({ responseStatus }) => responseStatus?.code === 403);
  expect(refused.map(({ verb, requestURI }) => `${verb} ${requestURI}`)).toEqual([]);
  expect([...rightsUsed(installation)].toSorted()).toEqual(
    [...rightsIn("controller-clusterrole.yaml"), ...rightsIn("controller-role.yaml")].toSorted(),
  );
});
