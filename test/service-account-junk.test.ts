import { generateKeyPairSync } from "node:crypto";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { SignJWT } from "jose";
import { createServiceAccountTokens } from "../src/api/service-account-tokens.ts";
import { storeTokenIssuer } from "../src/vault/token-issuers.ts";
import { startTestApi, type TestApi } from "./support/api-server.ts";
import { eventually } from "./support/eventually.ts";

// What looks like the token of a pod and is none: how often it makes the API ask the database for the issuers' keys.

const CLUSTER = "019ab6d0-0000-7000-8000-000000000001";
const ISSUER = "https://kubernetes.default.svc";
const { privateKey, publicKey } = generateKeyPairSync("ed25519");

let api: TestApi;
beforeAll(async () => {
  api = await startTestApi();
  const keys = [{ ...publicKey.export({ format: "jwk" }), kid: "known", alg: "EdDSA" }];
  await storeTokenIssuer(api.vault, { cluster: CLUSTER, issuer: ISSUER, jwks: { keys } });
});
afterAll(() => api[Symbol.asyncDispose]());
beforeEach(() => api.wire.mend());

function tokenSignedWith(kid: string): Promise<string> {
  const account = { name: "app", uid: "019ab6d0-0000-7000-8000-000000000002" };
  return new SignJWT({ "kubernetes.io": { namespace: "shop", serviceaccount: account } })
    .setProtectedHeader({ alg: "EdDSA", kid })
    .setIssuer(ISSUER)
    .setAudience("keystead")
    .setIssuedAt()
    .sign(privateKey);
}

/** A process of the API as far as tokens go, with a clock that the test moves, and what it asked the database. */
function process() {
  let [now, reads] = [0, 0];
  const { database } = api.vault;
  const tokens = createServiceAccountTokens(
    {
      query: (text, values) => {
        reads += 1;
        return database.query(text, values);
      },
    },
    () => now,
  );
  return {
    digestOf: (token: string) => tokens.digestOf(token, "shop"),
    pass: (milliseconds: number) => (now += milliseconds),
    reads: () => reads,
  };
}

/** The codes of what many tokens that come together are refused with. */
async function refusals(one: ReturnType<typeof process>, token: string): Promise<Set<unknown>> {
  const all = await Promise.allSettled(Array.from({ length: 100 }, () => one.digestOf(token)));
  return new Set(all.map((result) => (result.status === "rejected" ? result.reason.code : "let in")));
}

test("tokens of unknown keys that come together ask the database once, and again after 2 s", async () => {
  const one = process();
  const junk = await tokenSignedWith("unknown");
  const [refused, good] = await Promise.all([refusals(one, junk), one.digestOf(await tokenSignedWith("known"))]);
  expect([refused, good.length]).toEqual([new Set(["unknown_account"]), 32]);
  expect(one.reads()).toBe(1);
  one.pass(1_900);
  await refusals(one, junk);
  expect(one.reads()).toBe(1);
  one.pass(200);
  await refusals(one, junk);
  expect(one.reads()).toBe(2);
});

test("while the database is away they ask it once in 2 s as well, and nobody is told that his token is wrong", async () => {
  const one = process();
  const [junk, known] = [await tokenSignedWith("unknown"), await tokenSignedWith("known")];
  api.wire.sever();
  expect(await refusals(one, junk)).toEqual(new Set(["database_unavailable"]));
  await expect(one.digestOf(known)).rejects.toMatchObject({ code: "database_unavailable" });
  const before = one.reads();
  await refusals(one, junk);
  expect(one.reads()).toBe(before);
  api.wire.mend();
  await eventually(async () => {
    one.pass(2_100);
    expect(await one.digestOf(known)).toHaveLength(32);
  });
});
