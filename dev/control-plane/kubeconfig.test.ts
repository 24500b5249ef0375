import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, inject, test } from "vitest";
import { parse, stringify } from "yaml";
import { temporaryDirectory } from "../../test/support/temporary-directory.ts";
import { writeTokenKubeconfig } from "./kubeconfig.ts";

test("a token's kubeconfig names the same cluster and nothing of the administrator", () => {
  using folder = temporaryDirectory();
  const admin = inject("controlPlane").kubeconfig;
  const path = writeTokenKubeconfig(join(folder.path, "controller"), admin, "/run/token", "keystead-system");
  const text = readFileSync(path, "utf8");
  const config: unknown = parse(text);
  expect(config).toMatchObject({
    clusters: [{ cluster: { server: inject("controlPlane").url } }],
    users: [{ user: { tokenFile: "/run/token" } }],
    contexts: [{ context: { namespace: "keystead-system" } }],
  });
  expect(text).not.toContain("client-key-data");
  expect((statSync(path).mode & 0o777).toString(8)).toBe("600");
});

test.each([
  ["no cluster", []],
  [
    "two clusters",
    [
      { name: "one", cluster: {} },
      { name: "other", cluster: {} },
    ],
  ],
])("a kubeconfig that names %s is refused: which one was meant?", (_, clusters) => {
  using folder = temporaryDirectory();
  const from = join(folder.path, "admin");
  writeFileSync(from, stringify({ clusters }));
  const write = () => writeTokenKubeconfig(join(folder.path, "controller"), from, "/run/token", "default");
  expect(write).toThrow(expect.objectContaining({ code: "part_failed" }));
});
