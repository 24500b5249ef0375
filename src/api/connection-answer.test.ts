import * as fc from "fast-check";
import { expect, test } from "vitest";
import { Secret } from "../crypto/secret.ts";
import type { ConnectionRecord } from "../vault/read-connection.ts";
import { connectionAnswer, instant, simpleConnectionAnswer } from "./connection-answer.ts";

const at = new Date("2026-11-24T07:00:00.120Z");

function connection(options: Partial<ConnectionRecord> & { json?: string } = {}): ConnectionRecord {
  const { json = '{"apiKey":"k"}', ...rest } = options;
  return {
    mayReadCredentials: true,
    id: "01936000-0000-7000-8000-000000000000",
    numericId: 17,
    environmentId: "01936000-0000-7000-8000-000000000001",
    connectionId: "acme",
    providerConfigKey: "github",
    provider: "github",
    endUser: null,
    tags: {},
    metadata: null,
    createdAt: at,
    updatedAt: at,
    credentialsType: "API_KEY",
    credentialsExpiresAt: undefined,
    config: new Secret("{}"),
    credentials: new Secret(json),
    ...rest,
  };
}

const credentialsOf = (record: ConnectionRecord): unknown =>
  JSON.parse(connectionAnswer(record, { refreshToken: false })).credentials;

test("an instant is printed with its offset, milliseconds included", () => {
  expect(instant(at)).toBe("2026-11-24T07:00:00.120+00:00");
  expect(instant(new Date(0))).toBe("1970-01-01T00:00:00.000+00:00");
});

test.each([
  ["of one member", '{"apiKey":"k"}', { type: "API_KEY", apiKey: "k" }],
  ["that already begin with it", '{"type":"API_KEY","apiKey":"k"}', { type: "API_KEY", apiKey: "k" }],
  ["without any member", "{}", { type: "API_KEY" }],
  ["with a type of their own", '{"type":"theirs","apiKey":"k"}', { type: "API_KEY", apiKey: "k" }],
  ["with a type further in", '{"raw":{"type":"bearer"}}', { type: "API_KEY", raw: { type: "bearer" } }],
  ["that say type in a value", '{"apiKey":"\\"type\\":"}', { type: "API_KEY", apiKey: '"type":' }],
])("credentials %s carry the stored type once", (_case, json, shown) => {
  const text = connectionAnswer(connection({ json }), { refreshToken: false });
  expect(JSON.parse(text).credentials).toEqual(shown);
  expect(text.match(/"type":"API_KEY"/g)).toHaveLength(1);
});

test("a connection without credentials has an empty object", () => {
  expect(credentialsOf(connection({ credentials: undefined, credentialsType: undefined }))).toEqual({});
});

test("whatever was stored, the answer is the same JSON with the type put in", () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.string(), fc.jsonValue()),
      fc.dictionary(fc.string(), fc.jsonValue()),
      (value, config) => {
        const stored = connection({ json: JSON.stringify(value), config: new Secret(JSON.stringify(config)) });
        const answer = JSON.parse(connectionAnswer(stored, { refreshToken: true }));
        // Both through JSON once: it has no -0, and `__proto__` is a member like any other there.
        expect(JSON.stringify(answer.connection_config)).toBe(JSON.stringify(JSON.parse(JSON.stringify(config))));
        expect({ ...answer.credentials, type: undefined }).toEqual({
          ...JSON.parse(JSON.stringify(value)),
          type: undefined,
        });
        expect(answer.credentials.type).toBe("API_KEY");
      },
    ),
  );
});

test("an end user shows null for what is not known, and only members of the contract", () => {
  const shown = [
    connection({ endUser: { id: "42", organization: { id: "acme" } } }),
    connection({ endUser: { id: "43", email: "a@b.example", displayName: "A", tags: { t: "1" } } }),
  ].map(simpleConnectionAnswer);
  const users: unknown[] = shown.map((text) => JSON.parse(text).end_user);
  expect(users).toEqual([
    { id: "42", display_name: null, email: null, tags: null, organization: { id: "acme", display_name: null } },
    { id: "43", display_name: "A", email: "a@b.example", tags: { t: "1" }, organization: null },
  ]);
});

test("a list shows nothing that is secret, though its rows may hold it", () => {
  const text = simpleConnectionAnswer(
    connection({ json: '{"apiKey":"canary"}', config: new Secret('{"token":"canary"}') }),
  );
  expect(text).not.toContain("canary");
  expect(text).not.toContain("redacted");
});
