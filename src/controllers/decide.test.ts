import { expect, test } from "vitest";
import { parsedConnection } from "../../test/support/parsed-resources.ts";
import type { SecretSource } from "../vault/owner.ts";
import { decide } from "./decide.ts";
import type { SecretObject, SecretTaker } from "./secret-value.ts";
import type { Secrets } from "./secrets.ts";

/** A row in miniature: the token it has, or "unchanged" where it was not read. */
interface Row {
  readonly token: string;
  readonly sources: readonly SecretSource[];
}

const SOURCES: readonly SecretSource[] = [{ name: "acme", uid: "u", resourceVersion: "1" }];
const STORED = { digests: { declaration: "d", token: "t" }, sources: SOURCES };

/** The Secret `acme` in this version, and how often it was read. */
function secretsWith(version: string | undefined, value = "t", type = "Opaque") {
  let reads = 0;
  const secret: SecretObject = {
    metadata: { name: "acme", uid: "u", resourceVersion: version ?? "" },
    type,
    data: { token: Buffer.from(value).toString("base64") },
  };
  const secrets: Secrets = {
    version: () => (version === undefined ? undefined : { uid: "u", resourceVersion: version }),
    read: () => {
      reads += 1;
      return Promise.resolve(version === undefined ? undefined : secret);
    },
    changed: () => undefined,
  };
  return { secrets, reads: () => reads };
}

/** Decides about a resource that declares `declaration` and takes its token from the Secret. */
async function decideWith(secrets: Secrets, state: typeof STORED | undefined, declaration = "d") {
  return decide<Row, { declaration: string; token: string }, typeof STORED>(
    secrets,
    parsedConnection(),
    {
      state,
      row: (take: SecretTaker | undefined, sources) => ({
        token: take ? take.value({ name: "acme", key: "token" }) : "unchanged",
        sources,
      }),
      digestsOf: (row) => Promise.resolve({ declaration, token: row.token }),
      isSettled: (stored, digests) => digests.token === "unchanged" || digests.token === stored.digests.token,
    },
    {},
  );
}

test("what is stored from the version that the watch shows is kept, without a read", async () => {
  const { secrets, reads } = secretsWith("1");
  expect(await decideWith(secrets, STORED)).toMatchObject({ kind: "keep" });
  expect(reads()).toBe(0);
});

test("a Secret of another version is read and written, its new version with it", async () => {
  const { secrets, reads } = secretsWith("2", "new");
  const sources = [{ name: "acme", uid: "u", resourceVersion: "2" }];
  expect(await decideWith(secrets, STORED)).toEqual({ kind: "write", row: { token: "new", sources } });
  expect(reads()).toBe(1);
});

test("other references are followed even where the Secret is the same", async () => {
  const { secrets, reads } = secretsWith("1");
  expect(await decideWith(secrets, STORED, "another declaration")).toMatchObject({
    kind: "write",
    row: { token: "t" },
  });
  expect(reads()).toBe(1);
});

test("a resource that was never stored is read and written", async () => {
  expect(await decideWith(secretsWith("1").secrets, undefined)).toMatchObject({ kind: "write", row: { token: "t" } });
});

test.each([
  {
    what: "a Secret that is missing",
    secrets: secretsWith(undefined),
    ending: { kind: "waiting", reason: "SecretNotFound" },
  },
  {
    what: "a value that cannot be taken",
    secrets: secretsWith("2", ""),
    ending: { kind: "stalled", reason: "InvalidSecretValue" },
  },
  {
    what: "a Secret of a forbidden type",
    secrets: secretsWith("2", "t", "helm.sh/release.v1"),
    ending: { kind: "stalled", reason: "ForbiddenSecretType" },
  },
])("$what ends the pass, and no row is made of it", async ({ secrets: { secrets }, ending }) => {
  expect(await decideWith(secrets, STORED)).toMatchObject(ending);
});
