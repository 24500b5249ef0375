import { resolve } from "node:path";
import { expect, test } from "vitest";
import { readStartOptions } from "./start-options.ts";

test("without options everything is local, below the checkout", () => {
  expect(readStartOptions([], {})).toEqual({
    dataDirectory: resolve(".keystead"),
    apiPort: 3003,
    examples: true,
    context: undefined,
    ownerUrl: undefined,
    runtimeUrl: undefined,
  });
});

test.each([
  [
    "--data-dir is relative to where the user typed the command",
    ["--data-dir", "x"],
    { INIT_CWD: "/home/me" },
    { dataDirectory: "/home/me/x" },
  ],
  ["an option wins over its variable", ["--api-port", "4000"], { KEYSTEAD_API_PORT: "5000" }, { apiPort: 4000 }],
  ["a variable wins over the default", [], { KEYSTEAD_API_PORT: "5000" }, { apiPort: 5000 }],
  ["port 0 asks for a free one", ["--api-port", "0"], {}, { apiPort: 0 }],
  ["--no-examples", ["--no-examples"], {}, { examples: false }],
  ["--context", ["--context", "kind-dev"], {}, { context: "kind-dev" }],
  [
    "DATABASE_URL alone is the owner",
    [],
    { DATABASE_URL: "postgres://o@h/d" },
    { ownerUrl: "postgres://o@h/d", runtimeUrl: undefined },
  ],
  ["an empty DATABASE_URL counts as unset", [], { DATABASE_URL: "" }, { ownerUrl: undefined, runtimeUrl: undefined }],
  [
    "both variables are the two roles of production",
    [],
    { DATABASE_URL: "postgres://r@h/d", KEYSTEAD_DATABASE_OWNER_URL: "postgresql://o@h/d" },
    { ownerUrl: "postgresql://o@h/d", runtimeUrl: "postgres://r@h/d" },
  ],
  [
    "--database-url wins over both",
    ["--database-url", "postgres://x@h/d"],
    { DATABASE_URL: "postgres://r@h/d", KEYSTEAD_DATABASE_OWNER_URL: "postgres://o@h/d" },
    { ownerUrl: "postgres://x@h/d", runtimeUrl: undefined },
  ],
])("%s", (_, args, env: Record<string, string>, expected) => {
  expect(readStartOptions(args, env)).toMatchObject(expected);
});

test.each([
  ["a word that is no option", ["up"], "up"],
  ["an option that does not exist", ["--port", "1"], "--port"],
  ["an option without its value", ["--data-dir"], "--data-dir"],
  ["a port out of range", ["--api-port", "65536"], "65536"],
  ["a port that is no number", ["--api-port", "http"], "http"],
  ["a database that is not Postgres", ["--database-url", "mysql://h/d"], "postgres://"],
])("%s is refused", (_, args, named) => {
  expect(() => readStartOptions(args, {})).toThrow(
    expect.objectContaining({ code: "configuration_invalid", message: expect.stringContaining(named) }),
  );
});

test("a refused database URL is not shown: it may hold a password", () => {
  const args = ["--database-url", "mysql://me:canary77@h/d"];
  expect(() => readStartOptions(args, {})).toThrow(
    expect.objectContaining({ message: expect.not.stringContaining("canary77") }),
  );
});

test("--help asks for the usage text", () => {
  expect(readStartOptions(["--help"], {})).toBeUndefined();
});
