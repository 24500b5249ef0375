import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { download } from "./download.ts";

const MEGABYTE = 1_000_000;

async function serve(listener: RequestListener) {
  const server = createServer(listener);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}/file`, [Symbol.asyncDispose]: async () => void server.close() };
}

test.each([
  ["whose length is known", { "content-length": String(2 * MEGABYTE) }, "downloading it: 1 of 2 MB"],
  ["whose length is not known", {}, "downloading it: 1 MB"],
])("of a download %s, what has arrived is said while the rest is waited for", async (_, headers, line) => {
  const said = Promise.withResolvers<void>();
  const lines: string[] = [];
  await using server = await serve((_asked, answer) => {
    answer.writeHead(200, headers).write(Buffer.alloc(MEGABYTE, 1));
    void said.promise.then(() => answer.end(Buffer.alloc(MEGABYTE, 2)));
  });
  const progress = (text: string): void => {
    lines.push(text);
    if (text === line) said.resolve();
  };
  const bytes = await download(server.url, { what: "it", deadlineMs: 60_000, progress, everyMs: 5 });
  expect([bytes.length, bytes[0], bytes.at(-1)]).toEqual([2 * MEGABYTE, 1, 2]);
  expect(lines[0]).toBe("downloading it");
  expect(lines).toContain(line);
});

test.each<[string, RequestListener, RegExp]>([
  ["is not there", (_, answer) => void answer.writeHead(404).end(), /\/file answers 404$/],
  [
    "breaks off",
    (_, answer) => void answer.write("half", () => answer.destroy()),
    /^127\.0\.0\.1:\d+ cannot be reached$/,
  ],
])("a download that %s fails with a reason that can be read", async (_, listener, reason) => {
  await using server = await serve(listener);
  const failed = download(server.url, { what: "it", deadlineMs: 60_000, progress: () => {} });
  await expect(failed).rejects.toMatchObject({ code: "part_failed", message: expect.stringMatching(reason) });
});

test("a download that does not end in time is given up", async () => {
  await using server = await serve((_, answer) => void answer.writeHead(200).write("half"));
  const failed = download(server.url, { what: "it", deadlineMs: 50, progress: () => {} });
  await expect(failed).rejects.toMatchObject({ code: "part_failed", message: expect.stringContaining("in 0.05 s") });
});
