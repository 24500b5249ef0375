import { z } from "zod";
import { auth } from "../resources/auth.ts";
import { durationBetween } from "../resources/duration.ts";
import { line } from "../resources/field.ts";
import { proxy } from "../resources/proxy.ts";

/** An https URL, with `${connectionConfig.name}` where each customer has a host or a path of its own. */
const template = proxy.shape.baseUrl.startsWith("https://");

const docs = z.url({ protocol: /^https$/, hostname: z.regexes.domain });

/** A member of a JSON object, perhaps deeper down: `authed_user.access_token`. */
const memberPath = z.string().regex(/^[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*$/);

/** In what the answer of a token URL differs from RFC 6749 section 5.1. */
const tokenResponse = z.strictObject({
  /** Member that holds the answer proper, where that is not the whole. */
  root: memberPath.optional(),
  /** Member that is `false` or absent in an answer of status 200 that is an error all the same. */
  successField: memberPath.optional(),
  /** How long a token lives whose answer has no `expires_in`, by the provider's documentation. */
  lifetime: durationBetween("1m", "3660d").optional(),
  /** Members that are kept in the connection's config, because calls need them: `instance_url`. */
  connectionConfig: z
    .array(z.string().regex(/^[A-Za-z0-9_-]+$/))
    .min(1)
    .optional(),
});

const authorization = z.strictObject({
  ...auth.shape,
  mode: auth.shape.mode.unwrap(),
  authorizationUrl: template.optional(),
  tokenUrl: template.optional(),
  /** Issuer whose metadata are at `/.well-known/openid-configuration` or its like (RFC 8414), where the provider has them. */
  issuer: template.optional(),
  tokenResponse: tokenResponse.optional(),
});

/** What a person is asked for, beside the credential: a part of a URL. */
const question = z.strictObject({
  title: line(64),
  description: line(255),
  example: line(255).optional(),
});

/** One file of `catalogue/`, whose name is that of the provider. Its members stand in this order. */
export const providerSchema = z.strictObject({
  displayName: line(64),
  docs,
  auth: authorization,
  proxy: z.strictObject(proxy.shape).omit({ allowedBaseUrls: true }).optional(),
  connectionConfig: z.record(z.string().regex(/^[A-Za-z][A-Za-z0-9_]*$/), question).optional(),
});

/** How to talk to a provider, all of it: what the catalogue says, with what an Integration says over it. */
export type ProviderAuth = Readonly<Omit<z.output<typeof authorization>, "tokenUrl">> & {
  /** With placeholders, filled in for each connection. */
  readonly tokenUrl?: string | undefined;
};

/** A provider that integrations can be made for. */
export interface Provider extends Readonly<Omit<z.output<typeof providerSchema>, "auth" | "docs">> {
  /** As in `spec.provider`. */
  readonly name: string;
  readonly auth: ProviderAuth;
  /** The provider's own page on how to authenticate; empty for those that are named after a mode. */
  readonly docs: string;
}
