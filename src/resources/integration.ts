import { z } from "zod";
import { auth } from "./auth.ts";
import { deletionPolicy, line, reference, restoreFrom, secretKeyRef } from "./field.ts";
import { labelSelector } from "./label-selector.ts";
import { resourceParser } from "./parse.ts";
import { proxy } from "./proxy.ts";
import { immutable, matches, oneOf, type Rule, withRules } from "./rule.ts";
import { commonStatus, rowId } from "./status.ts";

/** A name that the catalogue does not know is found out by the controller: catalogue and CRD may be of different versions. */
const saysHowToAuthenticate: Rule<{
  readonly provider?: unknown;
  readonly auth?: { readonly mode?: unknown } | undefined;
}> = {
  cel: "has(self.provider) || (has(self.auth) && has(self.auth.mode))",
  holds: ({ provider, auth: given }) => provider !== undefined || given?.mode !== undefined,
  message: "must say a mode, or spec.provider name a provider of the catalogue",
  at: "auth",
};

/** `spec` of an Integration. */
export const integrationSpec = withRules(
  z.object({
    environmentRef: reference("Environment", "The Environment it belongs to. It cannot be changed."),
    provider: withRules(z.string().max(255), matches(/^[A-Za-z0-9_-]+$/, "must be letters, digits, '_' and '-'"))
      .optional()
      .describe(
        "A provider of the catalogue, such as github: what auth and proxy leave out is taken from there. Or a name of your own for the API to show, with auth.mode written out. Left out: the name of the Integration is shown, and nothing is taken from the catalogue.",
      ),
    auth: auth
      .optional()
      .describe(
        "How the provider authenticates. Each field that is given wins over that of the catalogue. It is stored and shown; tokens are not renewed by it in this version.",
      ),
    clientId: line(1_024)
      .optional()
      .describe("Id of the OAuth client, written out. At most one of clientId and clientIdRef."),
    clientIdRef: secretKeyRef(
      "Where the id of the OAuth client is, if it is not to be read here. At most one of clientId and clientIdRef.",
    ).optional(),
    clientSecretRef: secretKeyRef("Where the secret of the OAuth client is. Stored encrypted.").optional(),
    // 128 scopes of 512 characters are ten times what the most talkative provider has. Atomic, because their order is sent.
    scopes: z.array(line(512)).max(128).optional().meta({
      description: "OAuth scopes that connections ask for, at most 128, in this order.",
      "x-kubernetes-list-type": "atomic",
    }),
    // Text, as in Nango: an id written as a number in YAML loses leading zeros and, past 2^53, digits.
    appId: line(128).optional().describe('Id of a GitHub-style app, quoted if it is a number: "123456".'),
    privateKeyRef: secretKeyRef("Where the private key of a GitHub-style app is, in PEM. Stored encrypted.").optional(),
    proxy: proxy
      .optional()
      .describe(
        "Where the proxy of the API (/proxy) calls, and where the credential of a connection goes. Left out: as the catalogue has it, if auth leaves mode and the origin of tokenUrl to the catalogue too; else nothing is proxied. Given: nothing of the proxy is taken from the catalogue. After a change of scheme, host or port nothing is sent at all until keystead.dev/accept-origin names the new one: OriginChanged.",
      ),
    allowedConnections: labelSelector
      .optional()
      .describe(
        "Which Connections of the namespace may use this Integration, by their labels. Left out or empty: all. One that does not match is Stalled with IntegrationForbidden: nothing new is stored for it, and what was stored before is served until it is deleted.",
      ),
    deletionPolicy: deletionPolicy(
      ["SoftDelete", "Purge"],
      "What becomes of the stored integration and its connections when this resource is deleted. SoftDelete, the default: they are served no more and can be restored until the retention of the Environment ends. Purge: all of them are erased at once, for good.",
    ),
    restoreFrom: restoreFrom("integration", " under the same name, with the connections that were deleted with it"),
    suspend: z
      .boolean()
      .optional()
      .describe(
        "Whether the controller leaves everything of this Integration as it is. What is stored is still served.",
      ),
  }),
  immutable("environmentRef", "Integration"),
  saysHowToAuthenticate,
  // Neither is fine: API keys have no client, and a Connection may bring its own.
  oneOf("at most", ["clientId", "clientIdRef"]),
);

/** `status` of an Integration. */
export const integrationStatus = commonStatus.extend({
  integrationId: rowId("Id of the integration in the database, by which it can be restored after a delete.").optional(),
});

/** See {@link resourceParser}. */
export const parseIntegration = resourceParser("Integration", integrationSpec, integrationStatus);
/** An Integration with a valid spec. */
export type Integration = Extract<ReturnType<typeof parseIntegration>, { ok: true }>["value"];
