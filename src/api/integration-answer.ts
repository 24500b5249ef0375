import type { Secret } from "../crypto/secret.ts";
import type { IntegrationSummary } from "../vault/list-integrations.ts";
import type { IntegrationRecord } from "../vault/read-integration.ts";

/** What `include` may add to an integration. */
export type Include = "webhook" | "credentials";

/** The contract's list of integrations, as JSON text. */
export function integrationsAnswer(integrations: readonly IntegrationSummary[]): string {
  return JSON.stringify({ data: integrations.map(publicIntegration) });
}

/** The contract's integration with what the caller asked for beside it, as JSON text. */
export function integrationAnswer(integration: IntegrationRecord, include: ReadonlySet<Include>): string {
  return JSON.stringify({
    data: {
      ...publicIntegration(integration),
      // Nothing takes webhooks of providers in, so there is no address to give them.
      ...(include.has("webhook") && { webhook_url: null }),
      ...(include.has("credentials") && { credentials: clientAnswer(integration.client) }),
    },
  });
}

/** The same without anything beside it. */
export function integrationSummaryAnswer(integration: IntegrationSummary): string {
  return JSON.stringify({ data: publicIntegration(integration) });
}

/** The shape of `GET /config/:uniqueKey`, older than integrations had a name of their own. */
export function legacyIntegrationAnswer(integration: IntegrationRecord, withClient: boolean): string {
  const client = withClient ? clientOf(integration.client) : undefined;
  return JSON.stringify({
    config: {
      unique_key: integration.uniqueKey,
      provider: integration.provider,
      ...(withClient && {
        client_id: text(client?.["client_id"]),
        client_secret: text(client?.["client_secret"]),
        scopes: text(client?.["scopes"]),
        app_link: text(client?.["app_link"]),
        auth_mode: text(client?.["type"]),
      }),
      syncs: [],
      actions: [],
    },
  });
}

function publicIntegration(integration: IntegrationSummary): object {
  return {
    unique_key: integration.uniqueKey,
    provider: integration.provider,
    display_name: integration.displayName,
    // There are no pictures here; clients of the contract expect the member.
    logo: "",
    forward_webhooks: false,
    created_at: integration.createdAt.toISOString(),
    updated_at: integration.updatedAt.toISOString(),
  };
}

/** The OAuth client or app, with every member of its type: what is not set is null, not absent. */
function clientAnswer(secret: Secret | undefined): object | null {
  const client = clientOf(secret);
  if (!client) return null;
  const type = text(client["type"]);
  const app = {
    app_id: text(client["app_id"]),
    app_link: text(client["app_link"]),
    private_key: text(client["private_key"]),
  };
  const oauth = { client_id: text(client["client_id"]), client_secret: text(client["client_secret"]) };
  if (type === "APP") return { type, ...app };
  if (type === "CUSTOM") return { type, ...oauth, ...app };
  return { type, ...oauth, scopes: text(client["scopes"]), webhook_secret: text(client["webhook_secret"]) };
}

function clientOf(secret: Secret | undefined): Readonly<Record<string, unknown>> | undefined {
  return secret && JSON.parse(secret.reveal());
}

function text(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}
