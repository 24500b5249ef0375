import { z } from "zod";
import { errorBody } from "./answer-schemas.ts";
import type { PassedOnRoute, Route } from "./route.ts";

/** JSON Schema of one of ours. It stands anywhere in the document, so it must not refer to its own root. */
type JsonSchema = z.core.JSONSchema.BaseSchema;

/** What a document says beside its routes. */
interface DocumentOptions {
  readonly version: string;
}

/** The OpenAPI 3.1 document of these routes, from the schemas that check their requests. Pure. */
export function openApiDocument(
  routes: readonly Route[],
  passedOn: readonly PassedOnRoute[],
  { version }: DocumentOptions,
): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const route of routes) {
    for (const [index, path] of route.paths.entries()) {
      (paths[braced(path)] ??= {})[route.method.toLowerCase()] = operation(route, path, index > 0);
    }
  }
  for (const route of passedOn) {
    const methods = route.methods.map((method) => method.toLowerCase());
    paths[route.documented] = Object.fromEntries(methods.map((method) => [method, passedOnOperation(route, method)]));
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Keystead",
      version,
      description: "Credentials of an environment, in the contract of Nango's public client.",
    },
    security: [{ secretKey: [] }],
    paths,
    components: {
      securitySchemes: {
        secretKey: { type: "http", scheme: "bearer", description: "KEYSTEAD_SECRET_KEY of the environment's Secret." },
      },
      schemas: { Error: schemaOf(errorBody, "output") },
    },
  };
}

/** `/connections/{connectionId}` of `/connections/:connectionId`. */
function braced(path: string): string {
  return path.replaceAll(/:([A-Za-z]+)/g, "{$1}");
}

function operation(route: Route, path: string, isAlias: boolean): object {
  const body = schemaOf(route.body, "input");
  return {
    operationId: operationId(route.method.toLowerCase(), path),
    summary: route.summary,
    ...(isAlias && { deprecated: true }),
    ...(route.scopes.length > 0 && { description: needs(route) }),
    parameters: [
      ...parameters(route.path, "path"),
      ...parameters(route.query, "query"),
      ...(route.headers ? headerParameters(route.headers) : []),
    ],
    ...("type" in body || "oneOf" in body ? { requestBody: { required: true, content: json(body) } } : {}),
    responses: {
      [route.status]: { description: "Done.", content: json(schemaOf(route.answer, "output")) },
      default: {
        description: "Refused or failed; `code` says why.",
        content: json({ $ref: "#/components/schemas/Error" }),
      },
    },
  };
}

/** Methods whose requests have a body that means something (RFC 9110 section 9.3). */
const WITH_BODY: ReadonlySet<string> = new Set(["post", "put", "patch"]);

function passedOnOperation(route: PassedOnRoute, method: string): object {
  return {
    operationId: operationId(method, route.documented),
    summary: route.summary,
    description: `${route.description} ${needs(route)}`,
    parameters: [
      { name: "path", in: "path", required: true, style: "simple", explode: false, schema: { type: "string" } },
      ...headerParameters(route.headers),
    ],
    ...(WITH_BODY.has(method) && { requestBody: { content: { "*/*": {} } } }),
    responses: {
      default: {
        description: "The provider's answer; or the call was refused or failed, and `code` says why.",
        content: { "*/*": {}, ...json({ $ref: "#/components/schemas/Error" }) },
      },
    },
  };
}

function operationId(method: string, path: string): string {
  return `${method}${path.replaceAll(/[^A-Za-z]+(.|$)/g, (_match, letter: string) => letter.toUpperCase())}`;
}

function needs({ scopes }: Pick<Route, "scopes">): string {
  return `Needs one of the scopes ${scopes.join(", ")}.`;
}

function json(schema: object): object {
  return { "application/json": { schema } };
}

function parameters(schema: z.ZodType, place: "path" | "query"): object[] {
  const { properties = {}, required = [] } = schemaOf(schema, "input");
  return Object.entries(properties).map(([name, property]) => ({
    name,
    in: place,
    required: required.includes(name),
    style: place === "path" ? "simple" : styleOf(property),
    explode: place === "query",
    schema: property,
  }));
}

/** Written as people write them; a server knows no difference. */
function headerParameters(schema: z.ZodType): object[] {
  const { properties = {}, required = [] } = schemaOf(schema, "input");
  return Object.entries(properties).map(([name, property]) => ({
    name: name.replaceAll(/\b[a-z]/g, (letter) => letter.toUpperCase()),
    in: "header",
    required: required.includes(name),
    schema: property,
  }));
}

/** A map is `tags[team]=sales`, a list is given as often as it has items. */
function styleOf(property: z.core.JSONSchema._JSONSchema): string {
  return typeof property === "object" && property.type === "object" ? "deepObject" : "form";
}

function schemaOf(schema: z.ZodType, io: "input" | "output"): JsonSchema {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: "any" });
  return rest;
}
