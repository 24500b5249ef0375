import { objectKey } from "../kube/object.ts";
import type { Connection } from "../resources/connection.ts";
import type { Integration } from "../resources/integration.ts";
import { matches } from "../resources/label-selector.ts";
import type { ControllerDeps } from "./deps.ts";
import { type Outcome, stalled, waiting, withNothingStored } from "./outcome.ts";

type ParentDeps = Pick<ControllerDeps, "environments" | "integrations" | "rows">;

/** What a Connection belongs to, both stored already. */
export interface Parents {
  readonly kind: "parents";
  readonly environmentId: string;
  readonly environmentUid: string;
  readonly integrationId: string;
  readonly integration: Integration;
}

/** The Environment that a resource refers to, with its row: whoever writes there has to be refused when another has it by then. */
export interface StoredParent {
  readonly kind: "environment";
  readonly environmentId: string;
  readonly environmentUid: string;
}

/** The row of the Environment that a resource belongs to, or what has to happen first. */
export async function findEnvironment(
  deps: ParentDeps,
  resource: {
    readonly kind: string;
    readonly metadata: { readonly namespace: string };
    readonly spec: { readonly environmentRef: { readonly name: string } };
  },
): Promise<StoredParent | Outcome> {
  const { namespace } = resource.metadata;
  const { name } = resource.spec.environmentRef;
  const environment = deps.environments.get(objectKey(namespace, name));
  if (!environment || environment.value.metadata.deletionTimestamp) {
    return waiting(
      "EnvironmentNotFound",
      `Environment ${name} does not exist in namespace ${namespace}. Create it; this ${resource.kind} goes on by itself.`,
    );
  }
  const environmentId = await deps.rows.environmentId(environment.value);
  if (environmentId === undefined) {
    return waiting(
      "EnvironmentNotReady",
      `Environment ${name} is not stored yet. Its own status says what it waits for.`,
    );
  }
  return { kind: "environment", environmentId, environmentUid: environment.value.metadata.uid };
}

/** Environment and Integration of a Connection, or the outcome that says which is missing or does not let it in. */
export async function findParents(deps: ParentDeps, connection: Connection): Promise<Parents | Outcome> {
  const environment = await findEnvironment(deps, connection);
  if (environment.kind !== "environment") return environment;

  const { namespace } = connection.metadata;
  const { name } = connection.spec.integrationRef;
  const found = deps.integrations.get(objectKey(namespace, name));
  if (!found || found.value.metadata.deletionTimestamp) {
    return waiting(
      "IntegrationNotFound",
      `Integration ${name} does not exist in namespace ${namespace}. Create it; this Connection goes on by itself.`,
    );
  }
  // Before its row is looked for, which the Integration of another Environment cannot have in this one.
  const refused = found.ok ? refuseIntegration(found.value, connection) : undefined;
  if (refused) return refused;
  const integrationId = await deps.rows.integrationId(found.value, environment.environmentId);
  if (!found.ok || integrationId === undefined) {
    const outcome = integrationNotReady(name);
    return integrationId === undefined ? withNothingStored(outcome) : outcome;
  }
  return { ...environment, kind: "parents", integrationId, integration: found.value };
}

/** The outcome while what the Integration says now is not stored, whatever is the matter with it. */
export function integrationNotReady(name: string): Outcome {
  return waiting(
    "IntegrationNotReady",
    `Integration ${name} is not stored yet. Its own status says what it waits for.`,
  );
}

/** Whether the Integration lets the Connection in. Pure. */
export function refuseIntegration(integration: Integration, connection: Connection): Outcome | undefined {
  const { name } = integration.metadata;
  const own = integration.spec.environmentRef.name;
  const wanted = connection.spec.environmentRef.name;
  if (own !== wanted) {
    return stalled(
      "EnvironmentMismatch",
      `Integration ${name} belongs to Environment ${own} and this Connection to ${wanted}. Both have to be of one Environment.`,
    );
  }
  const { allowedConnections } = integration.spec;
  if (allowedConnections && !matches(allowedConnections, connection.metadata.labels)) {
    return stalled(
      "IntegrationForbidden",
      `Integration ${name} does not allow this Connection: its labels do not match spec.allowedConnections. Whoever owns the Integration can change that.`,
    );
  }
  return undefined;
}
