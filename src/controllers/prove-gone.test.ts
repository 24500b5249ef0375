import { afterAll, expect, test } from "vitest";
import { json, refusal, type Reaction, startFaultServer } from "../../test/support/fault-server.ts";
import { createKubeClient } from "../kube/client.ts";
import { CONNECTION } from "../resources/kinds.ts";
import { onlyGone } from "./prove-gone.ts";

const server = await startFaultServer();
const client = createKubeClient(server.identity);
afterAll(async () => {
  await client[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

const OBJECT = { kind: CONNECTION, namespace: "shop", name: "acme", uid: "1" };
const VERBS = ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"];
const served = (verbs: readonly string[]): Reaction => json(200, { resources: [{ name: "connections", verbs }] });
const found = (uid: string): Reaction => json(200, { metadata: { name: "acme", namespace: "shop", uid } });

test.each([
  { why: "not found, of a kind that is served", answers: [refusal(404, "NotFound"), served(VERBS)], gone: true },
  { why: "another object has the name", answers: [found("2"), served(VERBS)], gone: true },
  { why: "it is there", answers: [found("1")], gone: false },
  { why: "not allowed to look", answers: [refusal(403, "Forbidden")], gone: false },
  {
    why: "the CRD is gone, or not Established yet",
    answers: [refusal(404, "NotFound"), refusal(404, "NotFound")],
    gone: false,
  },
  {
    why: "another version is served",
    answers: [refusal(404, "NotFound"), json(200, { resources: [] })],
    gone: false,
  },
  {
    why: "the CRD is being deleted, with all objects",
    answers: [refusal(404, "NotFound"), served(["delete", "deletecollection", "get", "list", "watch"])],
    gone: false,
  },
  {
    why: "what is served may not be asked",
    answers: [refusal(404, "NotFound"), refusal(403, "Forbidden")],
    gone: false,
  },
])("an object is proven to be gone: $gone ($why)", async ({ answers, gone }) => {
  server.script("call", ...answers);
  expect(await onlyGone(client, [OBJECT], new AbortController().signal)).toEqual(gone ? [OBJECT] : []);
});

test("an API server that cannot answer proves nothing: the sweep is tried again as a whole", async () => {
  server.script("call", refusal(401, "Unauthorized"));
  await expect(onlyGone(client, [OBJECT], new AbortController().signal)).rejects.toHaveProperty(
    "code",
    "kube_unauthorized",
  );
});
