import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { runLoad } from "./load.ts";

const REQUEST = "GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n";

async function serve(answer: RequestListener) {
  const server = createServer(answer).listen(0, "127.0.0.1");
  await once(server, "listening");
  return { port: (server.address() as AddressInfo).port, [Symbol.dispose]: () => void server.close() };
}

test("at a fixed rate an answer that is late holds up no other request, and all that are due are asked", async () => {
  const due = 50;
  let asked = 0;
  let release: (() => void) | undefined;
  using server = await serve((_request, response) => {
    asked += 1;
    if (asked === 1) release = () => void response.end("late");
    else response.end("now");
    if (asked === due) release?.();
  });
  const load = { host: "127.0.0.1", port: server.port, clients: 2, seconds: 0.05, perSecond: 1_000 };
  await runLoad({ ...load, next: () => REQUEST });
  expect(asked).toBe(due);
});

test("an answer that is not 200 ends the measurement: figures of refusals are none of reads", async () => {
  using server = await serve((_request, response) => {
    response.statusCode = 401;
    response.end("who is it?");
  });
  const load = { host: "127.0.0.1", port: server.port, clients: 1, seconds: 60, next: () => REQUEST };
  await expect(runLoad(load)).rejects.toMatchObject({ code: "part_failed" });
});
