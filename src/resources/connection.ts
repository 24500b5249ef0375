import { z } from "zod";
import { CREDENTIALS_TYPE, type Credentials, credentials } from "./credentials.ts";
import { deletionPolicy, freeForm, line, reference, restoreFrom, tagMap } from "./field.ts";
import { resourceParser } from "./parse.ts";
import { immutable, matches, withRules } from "./rule.ts";
import { commonStatus, instant, rowId } from "./status.ts";

/** Nango's characters. The two names that a URL resolves away could never be asked for. */
const connectionId = withRules(
  z.string().max(255),
  matches(
    /^[A-Za-z0-9,.;:=+~[\]|@${}"'\\/_ -]+$/,
    "must be 1 to 255 of the letters A-Z and a-z, digits, blanks and , . ; : = + ~ [ ] | @ $ { } \" ' \\ / _ -",
  ),
  {
    cel: 'self != "." && self != ".."',
    holds: (id) => id !== "." && id !== "..",
    message: "must be neither . nor .., which mean something else in a URL",
  },
);

/** Nobody's address is checked by sending anything, so the pattern only keeps out what is plainly none. */
const endUser = z
  .object({
    id: line(255).describe("Id of the person or account in your application."),
    email: withRules(z.string().max(320), matches(/^[^@\s\p{Cc}]+@[^@\s\p{Cc}]+$/u, "must be an e-mail address"))
      .optional()
      .describe("E-mail address."),
    displayName: line(255).optional().describe("Name to show."),
    organization: z
      .object({
        id: line(255).describe("Id of the organization in your application."),
        displayName: line(255).optional().describe("Name to show."),
      })
      .optional()
      .describe("The organization that the end user belongs to."),
  })
  .describe("Whose connection it is in your application; connections can be listed by it.");

/** `spec` of a Connection. */
export const connectionSpec = withRules(
  z.object({
    environmentRef: reference("Environment", "The Environment it belongs to. It cannot be changed."),
    integrationRef: reference(
      "Integration",
      "The Integration it is a connection of, which has to be of the same Environment. It cannot be changed.",
    ),
    // No default in the schema, which cannot copy the name; it stays empty where the name is meant, and can stay so for
    // good, because adding it later would change the id under which applications know the connection.
    connectionId: connectionId
      .optional()
      .describe(
        "Id by which applications ask for it, unique within Environment and Integration; the name of the Connection if left out. At most 255 characters. It can be neither changed nor added or removed later.",
      ),
    credentials: credentials
      .optional()
      .describe(
        "The credential: exactly one of apiKey, basic, oauth2, oauth2ClientCredentials, app, jwt and custom. Every secret value is a reference to a key of a Secret in the same namespace; a change of that Secret is stored at once. Left out: the connection waits for a person to authorize it.",
      ),
    // Free-form like their counterparts in Nango, whose values may nest.
    config: freeForm(
      "Settings that go with the credential, such as {subdomain: acme}; connection_config in the API. Stored encrypted.",
    ).optional(),
    metadata: freeForm(
      "Free data of your application, metadata in the API. While it is declared here the API cannot change it. Not a place for secrets: it is not encrypted.",
    ).optional(),
    // Flat, short and bounded: they go into an index.
    tags: tagMap
      .optional()
      .describe(
        "Short labels by which the API lists connections, such as {team: sales}, at most 64. Keys are at most 64 lower-case letters, digits, '_', '.', '/' and '-', values at most 255 characters.",
      ),
    endUser: endUser.optional(),
    deletionPolicy: deletionPolicy(
      ["SoftDelete", "Purge", "Orphan"],
      "What becomes of the stored connection when this resource is deleted. SoftDelete, the default: it is served no more and can be restored until the retention of its Environment ends. Purge: it is erased at once, for good. Orphan: it is served as before and managed by nobody any more.",
    ),
    restoreFrom: restoreFrom(
      "connection",
      ", with the same Integration and connection id; without spec.credentials it keeps the credentials it had",
    ),
    // No default, as on Environment.
    suspend: z
      .boolean()
      .optional()
      .describe("Whether the controller leaves this Connection as it is. What is stored is still served."),
  }),
  immutable("environmentRef", "Connection"),
  immutable("integrationRef", "Connection"),
  immutable("connectionId", "Connection"),
);

/** `status` of a Connection. */
export const connectionStatus = commonStatus.extend({
  connectionId: rowId("Id of the connection in the database, by which it can be restored after a delete.").optional(),
  credentials: z
    .object({
      type: z.enum(Object.values(CREDENTIALS_TYPE)).describe("What kind of credential is stored."),
      expiresAt: instant("When it ends, if it does.").optional(),
    })
    .optional()
    .describe("What is known of the stored credential without reading it."),
});

/** See {@link resourceParser}. */
export const parseConnection = resourceParser("Connection", connectionSpec, connectionStatus);
/** A Connection with a valid spec. */
export type Connection = Extract<ReturnType<typeof parseConnection>, { ok: true }>["value"];

/** `spec.credentials` as written: exactly one of its fields is there. */
export type ConnectionCredentials = Credentials;

/** The id by which applications ask for a Connection. */
export function connectionIdOf(connection: Connection): string {
  return connection.spec.connectionId ?? connection.metadata.name;
}
