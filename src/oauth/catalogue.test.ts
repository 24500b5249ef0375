import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { findProvider, PROVIDERS } from "./catalogue.ts";
import { parseProvider, readCatalogue } from "./catalogue-files.ts";
import type { Provider } from "./provider.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const FOLDER = join(ROOT, "catalogue");
const FILES = readdirSync(FOLDER).toSorted();

const named = readCatalogue(FOLDER);
const names = PROVIDERS.map(({ name }) => name);

/** Complaints about each provider, as `name: complaint`. */
function complaints(of: (provider: Provider) => readonly (string | false | undefined)[]): string[] {
  return named.flatMap((provider) =>
    of(provider)
      .filter((complaint) => typeof complaint === "string")
      .map((complaint) => `${provider.name}: ${complaint}`),
  );
}

/** Every template of a provider, with the member it stands in. */
function templatesOf({ auth, proxy }: Provider): (readonly [member: string, template: string])[] {
  const { authorizationUrl, tokenUrl, issuer } = auth;
  const members = {
    authorizationUrl,
    tokenUrl,
    issuer,
    baseUrl: proxy?.baseUrl,
    ...proxy?.headers,
    ...proxy?.query,
    username: proxy?.basicAuth?.username,
    password: proxy?.basicAuth?.password,
  };
  return Object.entries(members).flatMap(([member, template]) =>
    template === undefined ? [] : [[member, template] as const],
  );
}

function placeholdersOf(provider: Provider, root: string): string[] {
  const pattern = new RegExp(String.raw`\$\{${root}\.([^}]+)\}`, "g");
  return templatesOf(provider).flatMap(([, template]) =>
    [...template.matchAll(pattern)].map(([, name]) => String(name)),
  );
}

test("there are 150 providers and more, among them those that integration teams ask for first", () => {
  expect(named.length).toBeGreaterThanOrEqual(150);
  const asked =
    "google google-mail google-calendar google-drive google-sheet microsoft slack github github-app gitlab hubspot " +
    "salesforce notion jira confluence linear asana zendesk intercom shopify stripe quickbooks xero gusto bamboohr " +
    "airtable dropbox box zoom discord linkedin facebook pipedrive mailchimp sendgrid twilio";
  expect(names).toEqual(expect.arrayContaining(asked.split(" ")));
});

test("every file is a provider under a name that spec.provider takes, and no name or title is there twice", () => {
  expect(FILES.filter((file) => !/^[a-z0-9]+(?:-[a-z0-9]+)*\.yaml$/.test(file))).toEqual([]);
  expect(named.map(({ name }) => `${name}.yaml`).toSorted()).toEqual(FILES);
  expect(new Set(names).size).toBe(names.length);
  const titles = named.map(({ displayName }) => displayName.toLowerCase());
  expect(titles.filter((title, index) => titles.indexOf(title) !== index)).toEqual([]);
});

test("the list is sorted, and the members of each file stand in the order of the schema", () => {
  expect(names).toEqual(names.toSorted());
  const unsorted = named.filter(({ name, ...provider }) => {
    const written = JSON.stringify(parse(readFileSync(join(FOLDER, `${name}.yaml`), "utf8")));
    // What the schema gives has its order.
    return written !== JSON.stringify(provider);
  });
  expect(unsorted.map(({ name }) => name)).toEqual([]);
});

test("a provider has what its mode needs, and nothing that its mode has no use for", () => {
  expect(
    complaints(({ auth, proxy }) => {
      const { mode, authorizationUrl, tokenUrl, clientAuthentication, pkce } = auth;
      const extra = Object.keys(auth).filter((member) => member !== "mode");
      switch (mode) {
        case "OAUTH2":
          return [
            !authorizationUrl && "no authorizationUrl",
            !tokenUrl && "no tokenUrl",
            !clientAuthentication && "no clientAuthentication",
            pkce === undefined && "does not say whether there is PKCE",
          ];
        case "OAUTH2_CC":
          return [
            !tokenUrl && "no tokenUrl",
            !clientAuthentication && "no clientAuthentication",
            authorizationUrl && "an authorizationUrl",
          ];
        case "APP":
          return [!tokenUrl?.includes("${credentials.installation_id}") && "no tokenUrl of an installation"];
        case "API_KEY":
        case "BASIC":
          return [extra.length > 0 && extra.join(), !proxy && "no proxy"];
        case "OAUTH1":
          return [extra.length > 0 && extra.join(), proxy && "a proxy, which would send calls unsigned"];
        case "JWT":
        case "CUSTOM":
        case "NONE":
          return [`no provider is of mode ${mode} yet`];
      }
    }),
  ).toEqual([]);
});

test("every URL is https, and a person can look it all up at the provider's", () => {
  expect(
    complaints((provider) => [
      !provider.docs.startsWith("https://") && "docs",
      ...templatesOf(provider).map(([member, text]) => /^https?:/.test(text) && !text.startsWith("https://") && member),
    ]),
  ).toEqual([]);
});

/** Members of a credential that a call may need, by mode. */
const CREDENTIAL: Partial<Record<Provider["auth"]["mode"], readonly string[]>> = {
  OAUTH2: ["access_token"],
  OAUTH2_CC: ["token"],
  APP: ["access_token", "installation_id"],
  API_KEY: ["apiKey"],
  BASIC: ["username", "password"],
};

test("every placeholder stands for something that the connection has, and every question is asked for a placeholder", () => {
  expect(
    complaints((provider) => {
      const questions = Object.keys(provider.connectionConfig ?? {});
      const used = placeholdersOf(provider, "connectionConfig");
      const known = CREDENTIAL[provider.auth.mode] ?? [];
      const templates = templatesOf(provider);
      return [
        ...used.map((name) => !questions.includes(name) && `nobody is asked for ${name}`),
        ...questions.map((name) => !used.includes(name) && `${name} stands nowhere`),
        ...placeholdersOf(provider, "credentials").map((name) => !known.includes(name) && `credentials.${name}`),
        ...templates.map(([member, text]) => text.includes("${config.") && `${member} says config`),
      ];
    }),
  ).toEqual([]);
});

test("a provider that is called is sent its credential", () => {
  expect(
    complaints((provider) => {
      const { proxy, auth } = provider;
      const placed = JSON.stringify({ ...proxy, baseUrl: undefined });
      const needed = (CREDENTIAL[auth.mode] ?? []).filter((name) => name !== "installation_id");
      return proxy ? needed.map((name) => !placed.includes(`\${credentials.${name}}`) && `never sends ${name}`) : [];
    }),
  ).toEqual([]);
});

test.each([
  ["a member that does not exist", "displayNam: X"],
  ["plain http", "displayName: X\ndocs: http://x.example\nauth: {mode: API_KEY}"],
  [
    "a token URL in plain http",
    "displayName: X\ndocs: https://x.example\nauth: {mode: OAUTH2, tokenUrl: http://x.example}",
  ],
  [
    "a host that a customer chooses as a whole",
    'displayName: X\ndocs: https://x.example\nauth: {mode: OAUTH2, tokenUrl: "https://${connectionConfig.host}/token"}',
  ],
  ["one member twice", "displayName: X\ndocs: https://x.example\nauth: {mode: NONE}\ndisplayName: Y"],
  ["no YAML", "{"],
])("a file with %s is refused by its name", (_why, text) => {
  expect(() => parseProvider("acme", text)).toThrow(/catalogue\/acme\.yaml is no provider/);
});

test.each(["", "nobody", "../package", "GitHub", "__proto__", "constructor"])("there is no provider %j", (name) => {
  expect(findProvider(name)).toBeUndefined();
});

test("processes read what the files say", () => {
  expect(named.map(({ name }) => findProvider(name))).toEqual(named);
});

test("the package ships the catalogue beside the emitted code", () => {
  const { files } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { files: string[] };
  expect(files).toEqual(expect.arrayContaining(["dist", "catalogue"]));
});
