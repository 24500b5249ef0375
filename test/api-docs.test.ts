import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { ask, createEnvironment, startTestApi } from "./support/api-server.ts";

const page = readFileSync(new URL("../docs/api.md", import.meta.url), "utf8");

/** The first code block of that language. */
function example(language: string): string {
  return (
    new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, "ms").exec(page)?.[1] ??
    expect.fail(`docs/api.md has no ${language} example`)
  );
}

/** A machine may have no curl; what the example passes to it (-H, a header, a URL) Node can send as well. */
const CURL_OR_NODE = `command -v curl > /dev/null || curl() {
  node -e 'const [, header, url] = process.argv.slice(1); fetch(url, { headers: [header.split(": ")] }).then((a) => a.text()).then(console.log)' -- "$@"
}
`;

/** Runs a program that reads its source from standard input, from the root of the repository. */
function run(command: string, args: readonly string[], source: string, env: Record<string, string>) {
  return new Promise<{ exitCode: number | null; output: string }>((resolve, reject) => {
    const child = spawn(command, args, { cwd: new URL("..", import.meta.url), env: { ...process.env, ...env } });
    let output = "";
    child.stdout.on("data", (chunk) => (output += chunk));
    child.stderr.on("data", (chunk) => (output += chunk));
    child.on("error", reject);
    child.on("close", (exitCode) => resolve({ exitCode, output }));
    child.stdin.end(source);
  });
}

test("the examples of docs/api.md run, with curl and with the client, and answer what the page shows", async () => {
  await using api = await startTestApi();
  const environment = await createEnvironment(api);
  await environment.connection(await environment.integration("github", { mode: "OAUTH2" }), "acme", {
    credentials: { type: "API_KEY", value: { apiKey: "..." } },
    config: { subdomain: "acme" },
    tags: { team: "sales" },
    metadata: { plan: "pro" },
  });
  const env = { KEYSTEAD_HOST: api.url, KEYSTEAD_SECRET_KEY: environment.key };

  const client = await run(
    process.execPath,
    ["--input-type=module"],
    `${example("js")}\nconsole.log(JSON.stringify(token));`,
    env,
  );
  expect(client, client.output).toMatchObject({ exitCode: 0 });
  expect(JSON.parse(client.output)).toEqual({ type: "API_KEY", apiKey: "..." });

  const curl = await run("sh", ["-eu"], CURL_OR_NODE + example("sh"), env);
  expect(curl, curl.output).toMatchObject({ exitCode: 0 });
  const shown = {
    ...JSON.parse(example("json")),
    id: expect.any(Number),
    created_at: expect.any(String),
    updated_at: expect.any(String),
  };
  expect(JSON.parse(curl.output.slice(curl.output.indexOf("{")))).toEqual(shown);
});

test("every route that docs/api.md has a heading for is there", async () => {
  await using api = await startTestApi();
  const environment = await createEnvironment(api);
  await environment.connection(await environment.integration("github"), "acme");
  const paths = [...page.matchAll(/`GET (\/[^`]*)`/g)].map(([, path = ""]) =>
    path
      .replace("{connection id}", "acme")
      .replace("{integration}", "github")
      .replace("{name}", "github")
      .replace("{provider}", "basic"),
  );
  expect(paths.length).toBeGreaterThanOrEqual(7);
  for (const path of paths) expect((await ask(api, path, environment.key)).status, path).toBe(200);
});
