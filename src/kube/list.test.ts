import { expect, test } from "vitest";
import { json, object, page, refusal, startFaultServer } from "../../test/support/fault-server.ts";
import { createKubeClient } from "./client.ts";
import { listPages } from "./list.ts";

const path = "/api/v1/secrets";

/** Lists from a server with that script and tells what was given. */
async function listFrom(script: Parameters<Awaited<ReturnType<typeof startFaultServer>>["script"]>[1][]) {
  await using server = await startFaultServer();
  await using client = createKubeClient(server.identity);
  server.script("list", ...script);
  const given: string[] = [];
  const outcome = await listPages(client, {
    path,
    query: { labelSelector: "a=b" },
    page: (objects, odd) =>
      void given.push(...objects.map((one) => one.metadata.name), ...(odd > 0 ? [`odd ${odd}`] : [])),
    restart: () => void given.push("restart"),
  }).catch((error: unknown) => error);
  const queries = server.requests.map(({ query }) => `${query.get("limit")} ${query.get("continue") ?? "start"}`);
  return { given, outcome, queries, selectors: server.requests.map(({ query }) => query.get("labelSelector")) };
}

test("pages follow each other by their tokens; the version is that of the last", async () => {
  const { given, outcome, queries, selectors } = await listFrom([
    page([object("a", "1"), object("b", "2")], "90", "next/1=="),
    page([object("c", "3")], "90"),
  ]);
  expect({ given, outcome, queries }).toEqual({
    given: ["a", "b", "c"],
    outcome: "90",
    queries: ["500 start", "500 next/1=="],
  });
  expect(selectors).toEqual(["a=b", "a=b"]);
});

test("bad case 23: a token that has expired starts the list over", async () => {
  const { given, outcome, queries } = await listFrom([
    page([object("a", "1")], "90", "token"),
    refusal(410, "Expired"),
    page([object("a", "1"), object("b", "2")], "95"),
  ]);
  expect(given).toEqual(["a", "restart", "a", "b"]);
  expect(outcome).toBe("95");
  expect(queries).toEqual(["500 start", "500 token", "500 start"]);
});

test("a list that expires again and again is given up", async () => {
  const round = [page([object("a", "1")], "90", "token"), refusal(410, "Expired")];
  const { outcome } = await listFrom([...round, ...round, ...round, ...round]);
  expect(outcome).toMatchObject({ code: "kube_expired" });
});

test("where objects are so large that a page does not fit, pages get smaller", async () => {
  const huge = object("huge", "1", { data: { text: "x".repeat(33 * 1024 * 1024) } });
  const { given, queries } = await listFrom([page([huge], "90"), page([object("small", "2")], "90")]);
  expect(given).toEqual(["small"]);
  expect(queries).toEqual(["500 start", "125 start"]);
});

test("bad case 29: an entry that is no object is left out and counted, the others are given", async () => {
  const { given } = await listFrom([page([{ metadata: null }, object("a", "1"), { spec: {} }], "90")]);
  expect(given).toEqual(["a", "odd 2"]);
});

test.each([
  { why: "no metadata", body: { items: [] } },
  { why: "no version", body: { metadata: { resourceVersion: "" }, items: [] } },
  { why: "items that are no list", body: { metadata: { resourceVersion: "1" }, items: {} } },
])("an answer that is no list is an error: $why", async ({ body }) => {
  expect((await listFrom([json(200, body)])).outcome).toMatchObject({ code: "kube_answer_invalid" });
});

test("a list without items is an empty one", async () => {
  const { given, outcome } = await listFrom([json(200, { metadata: { resourceVersion: "7" }, items: null })]);
  expect({ given, outcome }).toEqual({ given: [], outcome: "7" });
});
