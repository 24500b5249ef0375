import { expect, test } from "vitest";
import { alignedTable, createTerminal } from "./terminal.ts";

/** As much of a stream as a terminal writes to. */
function stream(isTTY: boolean) {
  let text = "";
  const written = { isTTY, columns: 20, on: () => written, write: (chunk: string) => ((text += chunk), true) };
  return { stream: written as unknown as NodeJS.WriteStream, text: () => text };
}

test("in a pipe every progress is a line, without colours", () => {
  const out = stream(false);
  const terminal = createTerminal(out.stream, {});
  terminal.progress("building");
  terminal.line(terminal.bold("ready"));
  expect(out.text()).toBe("building\nready\n");
});

test("on a terminal a progress takes the place of the one before and is gone when a line comes", () => {
  const out = stream(true);
  const terminal = createTerminal(out.stream, { NO_COLOR: "1" });
  terminal.progress("building etcd, which takes long");
  terminal.progress("starting");
  terminal.line("ready");
  expect(out.text()).toBe("building etcd, whic\r\u001B[2Kstarting\r\u001B[2Kready\n");
});

test("colours appear on a terminal that has not refused them", () => {
  expect(createTerminal(stream(true).stream, {}).red("x")).toBe("\u001B[31mx\u001B[0m");
  expect(createTerminal(stream(true).stream, { NO_COLOR: "1" }).red("x")).toBe("x");
  expect(createTerminal(stream(true).stream, { TERM: "dumb" }).red("x")).toBe("x");
});

test("columns stand under each other and no line ends in blanks", () => {
  expect(
    alignedTable([
      ["part", "address"],
      ["kube-apiserver", "https://127.0.0.1"],
      ["etcd", ""],
    ]),
  ).toBe(["  part            address", "  kube-apiserver  https://127.0.0.1", "  etcd"].join("\n"));
});
