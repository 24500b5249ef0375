import { expect, test } from "vitest";
import { bookmark, frame, object } from "../../test/support/fault-server.ts";
import type { WatchEvent } from "./watch-stream.ts";
import { readWatch } from "./watch-stream.ts";

interface Read {
  readonly events: string[];
  readonly error: unknown;
  readonly destroyed: boolean;
}

/** Reads a watch that consists of these chunks. */
async function read(
  chunks: AsyncIterable<Buffer>,
  options: { silenceMs?: number; signal?: AbortSignal } = {},
): Promise<Read> {
  const events: string[] = [];
  const ended = Promise.withResolvers<void>();
  let destroyed = false;
  const stream = {
    async *[Symbol.asyncIterator]() {
      const source = chunks[Symbol.asyncIterator]();
      for (;;) {
        const next = await Promise.race([source.next(), ended.promise]);
        if (next === undefined || next.done === true) return;
        yield next.value;
      }
    },
    destroy: () => {
      destroyed = true;
      ended.resolve();
    },
  };
  const error = await readWatch(stream, {
    action: "Watch of /x",
    silenceMs: options.silenceMs ?? 60_000,
    silenceAfterBookmarkMs: 50,
    event: (event) => void events.push(describe(event)),
    progress: () => undefined,
    signal: options.signal ?? new AbortController().signal,
  }).catch((thrown: unknown) => thrown);
  return { events, error, destroyed };
}

function describe(event: WatchEvent): string {
  if (event.type === "BOOKMARK") return `BOOKMARK ${event.resourceVersion}${event.initialEventsEnd ? " end" : ""}`;
  return event.type === "UNKNOWN" ? `UNKNOWN ${event.frameType}` : `${event.type} ${event.object.metadata.name}`;
}

async function* bytes(...chunks: (string | Buffer)[]): AsyncGenerator<Buffer> {
  for (const chunk of chunks) yield Buffer.from(chunk);
}

async function* thenSilence(...chunks: string[]): AsyncGenerator<Buffer> {
  yield* bytes(...chunks);
  await new Promise(() => undefined);
}

const added = frame("ADDED", object("a", "1"));
const umlaut = Buffer.from(frame("MODIFIED", object("ü", "2")));
const cut = umlaut.indexOf(Buffer.from("ü")) + 1;

test.each([
  {
    why: "two frames in one chunk",
    chunks: [added + frame("DELETED", object("a", "3"))],
    events: ["ADDED a", "DELETED a"],
  },
  { why: "a frame in two chunks", chunks: [added.slice(0, 20), added.slice(20)], events: ["ADDED a"] },
  {
    why: "a chunk ends inside a UTF-8 character",
    chunks: [umlaut.subarray(0, cut), umlaut.subarray(cut)],
    events: ["MODIFIED ü"],
  },
  {
    why: "bookmarks, with and without the end of the initial events",
    chunks: [bookmark("7") + bookmark("8", { "k8s.io/initial-events-end": "true" })],
    events: ["BOOKMARK 7", "BOOKMARK 8 end"],
  },
])("bad case 23: $why", async ({ chunks, events }) => {
  expect(await read(bytes(...chunks))).toEqual({ events, error: undefined, destroyed: true });
});

test.each([
  { why: "an unknown type", chunk: frame("RENAMED", object("a", "1")), events: ["UNKNOWN RENAMED"] },
  { why: "an object without a name", chunk: frame("ADDED", { spec: {} }), events: ["UNKNOWN ADDED"] },
  { why: "a bookmark without a version", chunk: frame("BOOKMARK", { metadata: {} }), events: ["UNKNOWN BOOKMARK"] },
  { why: "JSON that is no frame", chunk: "[1]\n", events: ["UNKNOWN none"] },
])("bad case 29: a frame that makes no sense is passed by: $why", async ({ chunk, events }) => {
  expect(await read(bytes(chunk + added))).toMatchObject({ events: [...events, "ADDED a"], error: undefined });
});

test.each([
  { why: "breaks off", chunk: `${added}{"type":"ADD`, code: "kube_answer_invalid" },
  { why: "is not JSON", chunk: `${added}{"data": hunter2}\n`, code: "kube_answer_invalid" },
  {
    why: "says that the version is too old",
    chunk: added + frame("ERROR", { code: 410, reason: "Expired" }),
    code: "kube_expired",
  },
  { why: "reports another error", chunk: added + frame("ERROR", { code: 500 }), code: "kube_api_error" },
])("bad case 23: what came before a frame that $why has been delivered", async ({ chunk, code }) => {
  const { events, error } = await read(bytes(chunk));
  expect(events).toEqual(["ADDED a"]);
  expect(error).toMatchObject({ code });
  expect(String(error)).not.toContain("hunter2");
});

test("bad case 23: a watch that is silent for too long is closed", async () => {
  expect(await read(thenSilence(added), { silenceMs: 20 })).toMatchObject({
    events: ["ADDED a"],
    error: { code: "kube_timeout" },
    destroyed: true,
  });
});

test("bad case 23: after a bookmark, silence is noticed sooner", async () => {
  expect(await read(thenSilence(bookmark("7")))).toMatchObject({ error: { code: "kube_timeout" }, destroyed: true });
});

test("an abort ends the reading, also one that fired before", async () => {
  const stop = new AbortController();
  const reading = read(thenSilence(added), { signal: stop.signal });
  stop.abort();
  expect(await reading).toMatchObject({ destroyed: true });
  expect(await read(thenSilence(added), { signal: stop.signal })).toMatchObject({ destroyed: true });
});
