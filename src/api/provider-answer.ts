import { z } from "zod";
import type { Provider } from "../oauth/provider.ts";
import { parseDuration } from "../resources/duration.ts";

const texts = z.record(z.string(), z.string());

/** A provider in the names of Nango's contract; what its own page does not say is absent. */
export const provider = z.strictObject({
  name: z.string(),
  display_name: z.string(),
  auth_mode: z.string(),
  logo_url: z.string().describe("Always empty: there are no pictures here."),
  docs: z.string(),
  authorization_url: z.string().optional(),
  token_url: z.string().optional(),
  authorization_params: texts.optional(),
  token_params: texts.optional(),
  scope_separator: z.string().optional(),
  disable_pkce: z.literal(true).optional().describe("Where the provider has no PKCE."),
  token_request_auth_method: z
    .enum(["basic", "private_key_jwt"])
    .optional()
    .describe("How the client proves itself; in the body of the request where it is absent."),
  token_response_metadata: z.array(z.string()).optional(),
  token_expiration_buffer: z.number().optional().describe("Seconds."),
  proxy: z
    .strictObject({ base_url: z.string(), headers: texts.optional(), query: texts.optional() })
    .optional()
    .describe("Where /proxy calls, and where the credential goes."),
  connection_config: z
    .record(
      z.string(),
      z.strictObject({
        type: z.literal("string"),
        title: z.string(),
        description: z.string(),
        example: z.string().optional(),
        order: z.int(),
        automated: z.boolean().describe("Whether it comes with the token, so that nobody is asked for it."),
      }),
    )
    .optional()
    .describe("What the placeholders in the URLs stand for."),
});

/** The provider as {@link provider} has it. Pure. */
export function providerAnswer({ name, displayName, docs, auth, proxy, connectionConfig }: Provider) {
  return {
    name,
    display_name: displayName,
    auth_mode: auth.mode,
    // Clients of the contract expect the member.
    logo_url: "",
    docs,
    authorization_url: auth.authorizationUrl,
    token_url: auth.tokenUrl,
    authorization_params: auth.authorizationParams,
    token_params: auth.tokenParams,
    scope_separator: auth.scopeSeparator,
    disable_pkce: auth.pkce === false || undefined,
    token_request_auth_method: METHODS[auth.clientAuthentication ?? "client_secret_post"],
    token_response_metadata: auth.tokenResponse?.connectionConfig,
    token_expiration_buffer: auth.expiryBuffer === undefined ? undefined : parseDuration(auth.expiryBuffer) / 1_000,
    proxy: proxy && { base_url: proxy.baseUrl, headers: headersOf(proxy), query: proxy.query },
    connection_config: connectionConfig && questionsOf(connectionConfig, auth.tokenResponse?.connectionConfig ?? []),
  };
}

const METHODS = {
  client_secret_basic: "basic",
  private_key_jwt: "private_key_jwt",
  client_secret_post: undefined,
} as const;

/** The contract has no member for a user name and a password, but a template of the header. */
function headersOf({ headers, basicAuth }: NonNullable<Provider["proxy"]>): Record<string, string> | undefined {
  if (!basicAuth) return headers;
  const { username, password = "" } = basicAuth;
  return { ...headers, authorization: `Basic \${base64(${username}:${password})}` };
}

function questionsOf(questions: NonNullable<Provider["connectionConfig"]>, automated: readonly string[]) {
  return Object.fromEntries(
    Object.entries(questions).map(([name, question], order) => [
      name,
      { type: "string" as const, ...question, order, automated: automated.includes(name) },
    ]),
  );
}
