import { Writable } from "node:stream";
import { expect, test } from "vitest";
import { Secret } from "../crypto/secret.ts";
import { generateToken } from "../crypto/token.ts";
import { KeysteadError } from "../errors.ts";
import { createLog, type Log } from "./log.ts";

/** A log whose lines can be read back as objects, in the order they were written. */
async function readableLog(
  level: "info" | "debug" = "info",
): Promise<{ log: Log; lines: () => Record<string, unknown>[]; text: () => string }> {
  let text = "";
  const destination = new Writable({
    write(chunk: Buffer, _encoding, done) {
      text += chunk.toString();
      done();
    },
  });
  const log = await createLog({ level, format: "json" }, { process: "api", destination });
  return {
    log,
    text: () => text,
    lines: () =>
      text
        .trim()
        .split("\n")
        .map((line): Record<string, unknown> => JSON.parse(line)),
  };
}

test("a line is one JSON object with its level by name, its time and its process", async () => {
  const { log, lines } = await readableLog();
  log.info({ port: 3003 }, "the API listens");
  expect(lines()).toEqual([
    {
      level: "info",
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      process: "api",
      port: 3003,
      msg: "the API listens",
    },
  ]);
});

test("lines below the level are not written", async () => {
  const { log, text } = await readableLog();
  log.debug("details");
  expect(text()).toBe("");
});

test.each([
  ["a token in the message", (log: Log, token: string) => log.info(`refused ${token} from 10.0.0.1`)],
  [
    "a token in a field nobody thought of",
    (log: Log, token: string) => log.info({ request: { query: { key: token } } }, "refused"),
  ],
  ["a token in the key of a field", (log: Log, token: string) => log.info({ [token]: 1 }, "refused")],
  [
    "an Authorization header of ours",
    (log: Log, token: string) => log.info({ headers: { authorization: `Bearer ${token}` } }, "refused"),
  ],
  [
    "a token in the cause of an error",
    (log: Log, token: string) =>
      log.error({ error: new Error("outer", { cause: new Error(`bad ${token}`) }) }, "failed"),
  ],
  [
    "a token in the stack of an error",
    (log: Log, token: string) => log.error({ error: new TypeError(`cannot read ${token}`) }, "failed"),
  ],
  ["a token inside a Secret", (log: Log, token: string) => log.info({ key: new Secret(token) }, "made")],
])("bad case 36: %s does not reach the log", async (_case, write) => {
  const token = generateToken("secret-key").reveal();
  const { log, text } = await readableLog();
  write(log, token);
  expect(text()).toContain("redacted");
  expect(text()).not.toContain(token);
  expect(text()).not.toContain(token.slice(6, 40));
});

test("bad case 36: credentials of other systems are cut from headers, URLs and errors", async () => {
  const { log, text } = await readableLog();
  log.warn({ headers: { authorization: "token canary-1", cookie: "session=canary-2" } }, "refused");
  log.warn({ url: "postgres://keystead:canary-3@db:5432/keystead" }, "no answer");
  log.warn({ error: new Error("upstream said: Authorization: Bearer canary-4-canary") }, "no answer");
  log.warn({ connection: { password: "canary-5" } }, "no answer");
  expect(text()).not.toContain("canary");
  expect(text()).toContain("postgres://keystead:[redacted]@db:5432");
});

test("an error keeps its code, its details and the chain of its causes", async () => {
  const { log, lines } = await readableLog();
  const cause = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });
  log.warn(
    { error: new KeysteadError("configuration_invalid", "No database.", { cause, details: { host: "db" } }) },
    "not started",
  );
  expect(lines()[0]?.["error"]).toEqual({
    type: "KeysteadError",
    code: "configuration_invalid",
    message: "No database.",
    details: { host: "db" },
    cause: { type: "Error", code: "ECONNREFUSED", message: "connect ECONNREFUSED" },
  });
});

test("an error that causes itself, and one with a message of a megabyte, still give a short line", async () => {
  const { log, text } = await readableLog();
  const loop = new Error("loop");
  loop.cause = loop;
  log.error({ error: loop }, "failed");
  log.error({ error: new Error("x".repeat(1_000_000)) }, "failed");
  expect(text().length).toBeLessThan(12_000);
});

test("properties that a library hangs on its errors are left out: they hold requests and rows", async () => {
  const { log, text } = await readableLog();
  log.error(
    {
      error: Object.assign(new Error("duplicate key"), {
        detail: "Key (value)=(canary) exists",
        config: { data: "canary" },
      }),
    },
    "failed",
  );
  expect(text()).toContain("duplicate key");
  expect(text()).not.toContain("canary");
});

test("a refused connect to several addresses names each of them", async () => {
  const { log, text } = await readableLog();
  const parts = [new Error("connect ECONNREFUSED ::1:5432"), new Error("connect ECONNREFUSED 127.0.0.1:5432")];
  log.warn({ error: new AggregateError(parts) }, "no answer");
  expect(text()).toContain("::1:5432");
  expect(text()).toContain("127.0.0.1:5432");
});
