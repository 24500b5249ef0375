import * as fc from "fast-check";
import { expect, test } from "vitest";
import { hasCode, KeysteadError } from "../errors.ts";
import { originOf, type ProxySpec } from "../resources/proxy.ts";
import { parseProxyRequest } from "./proxy-request.ts";
import { type ProxyTarget, targetOf } from "./proxy-target.ts";
import type { TemplateValues } from "./proxy-template.ts";

/** A placeholder. */
const of = (name: string): string => `\${${name}}`;

interface Case {
  readonly spec?: Partial<ProxySpec>;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly values?: Partial<TemplateValues>;
  readonly accepted?: readonly string[];
  readonly tokenUrl?: string;
}

function target({ spec, path = "/things", headers = {}, values, accepted, tokenUrl }: Case): ProxyTarget {
  const whole: ProxySpec = { baseUrl: "https://api.provider.example/v1", ...spec };
  const own = [whole.baseUrl, ...(whole.allowedBaseUrls ?? [])].flatMap((url) => originOf(url) ?? []);
  const request = parseProxyRequest(`/proxy${path}`, { "provider-config-key": "p", "connection-id": "c", ...headers });
  return targetOf({ proxy: whole, auth: { tokenUrl } }, accepted ?? own, request, {
    config: {},
    credentials: {},
    ...values,
  });
}

function codeOf(one: Case): string {
  try {
    return target(one).url.href;
  } catch (thrown) {
    return thrown instanceof KeysteadError ? thrown.code : String(thrown);
  }
}

test.each<[path: string, url: string]>([
  ["/things", "https://api.provider.example/v1/things"],
  ["/things?page=2&q=a%20b", "https://api.provider.example/v1/things?page=2&q=a%20b"],
  ["/a%2Fb", "https://api.provider.example/v1/a%2Fb"],
  ["/", "https://api.provider.example/v1/"],
  ["/a/../b", "https://api.provider.example/v1/b"],
  ["//evil.example/x", "https://api.provider.example/v1//evil.example/x"],
  ["/@evil.example/", "https://api.provider.example/v1/@evil.example/"],
  ["/https://evil.example/", "https://api.provider.example/v1/https://evil.example/"],
  ["/x#fragment", "https://api.provider.example/v1/x#fragment"],
])("%s is %s", (path, url) => {
  expect(codeOf({ path })).toBe(url);
});

test.each(["/../v2/things", "/..", "/%2e%2e/v2", "/a/../../v2", "/..\\v2", "/.%2E/.%2e/"])(
  "bad case 39: %s leaves the base URL and is refused",
  (path) => {
    expect(codeOf({ path })).toBe("invalid_uri_params");
  },
);

test("whatever the path, the call goes to the base URL or nowhere", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary-ascii" }), (path) => {
      const result = codeOf({ path: `/${path}` });
      if (result !== "invalid_uri_params") expect(result).toMatch(/^https:\/\/api\.provider\.example\/v1\//);
    }),
  );
});

const host = { baseUrl: `https://${of("config.subdomain")}.provider.example/v1` };
test("a part of the host comes from the connection's config", () => {
  expect(codeOf({ spec: host, values: { config: { subdomain: "acme-1" } } })).toBe(
    "https://acme-1.provider.example/v1/things",
  );
});

test.each([
  "evil.example/",
  "evil.example#",
  "evil.example?",
  "evil.example\\",
  "evil.example:443/",
  "user@evil.example/",
  "a.b",
  "",
  "a".repeat(64),
  "\u{1f511}",
  "a\r\nb",
  "xn--\u00fc",
  7.5,
  null,
  ["a"],
  { a: 1 },
])("bad case 39: %j cannot become a part of the host", (subdomain) => {
  expect(codeOf({ spec: host, values: { config: { subdomain } } })).toBe("proxy_template_unresolved");
});

test("whatever the config holds, the call goes below the fixed domain or nowhere", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (subdomain) => {
      const result = codeOf({ spec: host, values: { config: { subdomain } } });
      if (result !== "proxy_template_unresolved") expect(new URL(result).hostname).toMatch(/\.provider\.example$/);
    }),
  );
});

test.each([
  ["a/b", "https://t.example/bota%2Fb/things"],
  ["a?b#c", "https://t.example/bota%3Fb%23c/things"],
  ["a b%", "https://t.example/bota%20b%25/things"],
])("in the path %j is percent-encoded", (apiKey, url) => {
  const spec = { baseUrl: `https://t.example/bot${of("credentials.apiKey")}` };
  expect(codeOf({ spec, values: { credentials: { apiKey } } })).toBe(url);
});

test.each([".", ".."])("a value that is %j would change the path, and is refused", (account) => {
  const spec = { baseUrl: `https://t.example/${of("config.account")}/v1` };
  expect(codeOf({ spec, values: { config: { account } } })).toBe("proxy_template_unresolved");
});

test("headers and parameters of the template win over those of the caller", () => {
  const { url, headers } = target({
    spec: {
      headers: { Authorization: `Bearer ${of("credentials.access_token")}`, "X-Account": of("config.account.id") },
      query: { api_key: of("credentials.apiKey") },
    },
    path: "/things?api_key=mine&page=2&api%5Fkey=again",
    headers: {
      "nango-proxy-authorization": "Bearer mine",
      "nango-proxy-x-other": "1",
      cookie: "c",
      authorization: "a",
    },
    values: { config: { account: { id: 7 } }, credentials: { access_token: "t", apiKey: "k&k" } },
  });
  expect(headers).toEqual({ authorization: "Bearer t", "x-account": "7", "x-other": "1" });
  expect(url.search).toBe("?page=2&api_key=k%26k");
});

test("user name and password become HTTP Basic authentication", () => {
  const basicAuth = { username: of("credentials.username"), password: of("credentials.password") };
  const headers = (username: string) =>
    target({ spec: { basicAuth }, values: { credentials: { username, password: "p\u00e4ss:word" } } }).headers;
  expect(headers("user")).toEqual({ authorization: `Basic ${Buffer.from("user:p\u00e4ss:word").toString("base64")}` });
  expect(() => headers("us:er")).toThrow(expect.objectContaining({ code: "proxy_template_unresolved" }));
  const { authorization } = target({
    spec: { basicAuth: { username: of("credentials.apiKey") } },
    values: { credentials: { apiKey: "k" } },
  }).headers;
  expect(authorization).toBe(`Basic ${Buffer.from("k:").toString("base64")}`);
});

test.each([
  ["credentials.missing", {}],
  ["credentials.raw", { raw: { a: 1 } }],
  ["credentials.toString", {}],
  ["credentials.__proto__.constructor", {}],
  ["credentials.apiKey.length", { apiKey: "canary" }],
  ["credentials.apiKey", { apiKey: "canary\r\nx-injected: 1" }],
  ["credentials.apiKey", { apiKey: "canary\u0000" }],
  ["credentials.apiKey", { apiKey: "canary\u{1f511}" }],
])("%s of %j cannot be put into a header, and the error repeats no value", (name, credentials) => {
  try {
    target({ spec: { headers: { "x-key": of(name) } }, values: { credentials } });
    expect.fail("it was put in");
  } catch (thrown) {
    expect(hasCode(thrown, "proxy_template_unresolved") && thrown.message).toContain(name);
    expect(String(thrown)).not.toContain("canary");
  }
});

const uploads = { allowedBaseUrls: ["https://uploads.provider.example", "http://127.0.0.1:8080"] };
test.each<[override: string, spec: Partial<ProxySpec>, result: string]>([
  ["https://uploads.provider.example", {}, "base_url_override_disabled"],
  ["https://uploads.provider.example", uploads, "https://uploads.provider.example/things"],
  ["https://uploads.provider.example/v2/", uploads, "https://uploads.provider.example/v2/things"],
  ["https://UPLOADS.provider.example:443", uploads, "https://uploads.provider.example/things"],
  ["http://127.0.0.1:8080", uploads, "http://127.0.0.1:8080/things"],
  ["http://uploads.provider.example", uploads, "base_url_override_not_allowed"],
  ["https://uploads.provider.example:8443", uploads, "base_url_override_not_allowed"],
  ["https://uploads.provider.example.evil.example", uploads, "base_url_override_not_allowed"],
  ["https://uploads.provider.example@evil.example", uploads, "base_url_override_not_allowed"],
  ["https://evil.example", uploads, "base_url_override_not_allowed"],
  ["", {}, "https://api.provider.example/v1/things"],
  ["ftp://uploads.provider.example", uploads, "invalid_headers"],
  ["uploads.provider.example", uploads, "invalid_headers"],
])("the override %j gives %s", (override, spec, result) => {
  expect(codeOf({ spec, headers: { "base-url-override": override } })).toBe(result);
});

test("while one origin waits to be accepted nothing is sent, not even where it was accepted before", () => {
  const accepted = ["https://api.provider.example"];
  expect(codeOf({ spec: uploads, accepted })).toBe("origin_not_accepted");
  const headers = { "base-url-override": "https://uploads.provider.example" };
  expect(codeOf({ spec: uploads, accepted, headers })).toBe("origin_not_accepted");
  expect(codeOf({ accepted, tokenUrl: "https://login.provider.example/token" })).toBe("origin_not_accepted");
  expect(codeOf({ accepted, tokenUrl: "https://api.provider.example/token" })).toBe(
    "https://api.provider.example/v1/things",
  );
  expect(codeOf({ accepted: [] })).toBe("origin_not_accepted");
  expect(codeOf({ accepted: ["https://api.provider.example:8443"] })).toBe("origin_not_accepted");
});

test.each<[why: string, headers: Readonly<Record<string, string>>]>([
  ["no integration", { "provider-config-key": "" }],
  ["no connection", { "connection-id": "" }],
  ["too many retries", { retries: "11" }],
  ["retries that are no number", { retries: "-1" }],
  ["a status that is none", { "retry-on": "429,99" }],
  ["a word that is no status", { "retry-on": "5xx" }],
  ["an unclear wish", { decompress: "yes" }],
])("%s is 400 invalid_headers", (_why, headers) => {
  expect(codeOf({ headers })).toBe("invalid_headers");
});
