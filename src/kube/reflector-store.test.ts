import { expect, test } from "vitest";
import { object } from "../../test/support/fault-server.ts";
import { silentLog } from "./log.ts";
import type { KubeObject } from "./object.ts";
import type { ReflectorHandler } from "./reflector-store.ts";
import { createReflectorStore } from "./reflector-store.ts";

/** A store that holds versions, and what its handler heard. */
function storeOf(keep: (one: KubeObject) => string | undefined = (one) => one.metadata.resourceVersion) {
  const heard: string[] = [];
  let broken = false;
  const handler: ReflectorHandler<string> = {
    changed(key, now, before, initial) {
      if (broken) throw new Error("handler");
      heard.push(`${key} ${before ?? "new"} -> ${now}${initial ? " initially" : ""}`);
    },
    deleted(key, last) {
      if (broken) throw new Error("handler");
      heard.push(`${key} gone at ${last}`);
    },
  };
  const store = createReflectorStore(keep, handler, silentLog);
  return { store, heard, breakHandler: (is: boolean) => void (broken = is) };
}

test("changes are told with what was known before, deletions with what was known last", () => {
  const { store, heard } = storeOf();
  store.apply(object("a", "1"), true);
  store.apply(object("a", "2"), false);
  store.remove(object("a", "3"));
  expect(heard).toEqual(["ns/a new -> 1 initially", "ns/a 1 -> 2", "ns/a gone at 2"]);
  expect(store.entries.size).toBe(0);
});

test("an object that is known in this version causes nothing, as after a list that was repeated", () => {
  const { store, heard } = storeOf();
  store.apply(object("a", "1"), true);
  store.apply(object("a", "1"), false);
  expect(heard).toHaveLength(1);
});

test("the end of an object that the watch went past is told if it would be held by now", () => {
  const wanted = new Set<string>();
  const { store, heard } = storeOf((one) => (wanted.has(one.metadata.name) ? one.metadata.resourceVersion : undefined));
  for (const name of ["a", "b"]) store.apply(object(name, "1"), true);
  wanted.add("a");
  for (const name of ["a", "b"]) store.remove(object(name, "2"));
  expect(heard).toEqual(["ns/a gone at 2"]);
});

test("an adopted object is held without a word, gives way to every state that is known, and its end is told", () => {
  const { store, heard } = storeOf();
  store.adopt(object("a", "1"));
  store.apply(object("a", "1"), false);
  expect(heard).toEqual([]);
  store.apply(object("a", "2"), false);
  store.adopt(object("a", "1"));
  store.retain(new Set());
  expect(heard).toEqual(["ns/a 1 -> 2", "ns/a gone at 2"]);
});

test("an object that keep does not want cannot be adopted", () => {
  const { store } = storeOf(() => undefined);
  store.adopt(object("a", "1"));
  expect(store.entries.size).toBe(0);
});

test("what a complete list no longer has is told as deleted", () => {
  const { store, heard } = storeOf();
  for (const name of ["a", "b", "c"]) store.apply(object(name, "1"), true);
  store.retain(new Set(["ns/b"]));
  expect(heard.slice(3)).toEqual(["ns/a gone at 1", "ns/c gone at 1"]);
});

test("an object re-created under the same name while nobody looked is a deletion and a new object", () => {
  const { store, heard } = storeOf();
  store.apply(object("a", "1"), true);
  const again = object("a", "5");
  store.apply({ ...again, metadata: { ...again.metadata, uid: "another" } }, false);
  expect(heard.slice(1)).toEqual(["ns/a gone at 1", "ns/a new -> 5"]);
});

test("what is not kept is not told; what is no longer kept counts as deleted", () => {
  const { store, heard } = storeOf((one) =>
    one.metadata.labels?.["ours"] === "yes" ? one.metadata.resourceVersion : undefined,
  );
  const labelled = object("a", "2");
  store.apply(object("a", "1"), true);
  store.apply({ ...labelled, metadata: { ...labelled.metadata, labels: { ours: "yes" } } }, false);
  store.apply(object("a", "3"), false);
  expect(heard).toEqual(["ns/a new -> 2", "ns/a gone at 2"]);
});

test("a handler that throws hears of it again, and of a newer state only once", () => {
  const { store, heard, breakHandler } = storeOf();
  store.apply(object("a", "1"), true);
  store.apply(object("b", "1"), true);
  breakHandler(true);
  store.apply(object("a", "2"), false);
  store.remove(object("b", "2"));
  store.redeliver();
  expect(store.entries.get("ns/a")?.value).toBe("2");
  breakHandler(false);
  store.apply(object("a", "3"), false);
  store.redeliver();
  store.redeliver();
  expect(heard.slice(2)).toEqual(["ns/a 2 -> 3", "ns/b gone at 1"]);
});

test("bad case 29: an object that cannot be read stays as it was known, and the others go on", () => {
  const { store, heard } = storeOf((one) => {
    if (one.metadata.resourceVersion === "bad") throw new Error("shape");
    return one.metadata.resourceVersion;
  });
  store.apply(object("a", "1"), true);
  store.apply(object("a", "bad"), false);
  store.apply(object("b", "1"), false);
  expect(store.entries.get("ns/a")?.value).toBe("1");
  expect(heard).toEqual(["ns/a new -> 1 initially", "ns/b new -> 1"]);
});
