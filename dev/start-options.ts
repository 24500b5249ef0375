import { parseArgs } from "node:util";
import { resolve } from "node:path";
import { KeysteadError } from "../src/errors.ts";

/** What `npm start` was asked for. */
export interface StartOptions {
  /** Absolute. */
  readonly dataDirectory: string;
  /** 0: any free one. */
  readonly apiPort: number;
  readonly examples: boolean;
  /** A context of the user's own kubeconfig, in place of a local control plane. */
  readonly context: string | undefined;
  /** Owner's URL of a Postgres that runs already, in place of the embedded one. */
  readonly ownerUrl: string | undefined;
  /** URL of a login with the running role in that Postgres; undefined to have one made. */
  readonly runtimeUrl: string | undefined;
}

export const USAGE = `Usage: npm start -- [options]

  --data-dir DIR       everything that is kept (default .keystead)
  --api-port N         port of the HTTP API (default KEYSTEAD_API_PORT, else 3003; 0 takes a free one)
  --no-examples        do not apply examples/ on the first start
  --context NAME       use that context of your kubeconfig instead of a local control plane
  --database-url URL   use that Postgres instead of the embedded one (default DATABASE_URL); the role must own the
                       database. Other users of the machine can read arguments: prefer DATABASE_URL
  --help               this text

Every KEYSTEAD_* variable is passed on to controller and API (docs/configuration.md).`;

/** Throws `configuration_invalid` with one sentence for whatever cannot be meant. `undefined` asks for the usage text. */
export function readStartOptions(args: readonly string[], env: NodeJS.ProcessEnv): StartOptions | undefined {
  const values = parse(args);
  if (values.help === true) return undefined;
  return {
    dataDirectory: dataDirectory(values["data-dir"], env),
    apiPort: portOf(values["api-port"] ?? env["KEYSTEAD_API_PORT"] ?? "3003"),
    examples: values["no-examples"] !== true,
    context: values.context,
    ...databaseUrls(values["database-url"], env),
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        "data-dir": { type: "string" },
        "api-port": { type: "string" },
        "no-examples": { type: "boolean" },
        context: { type: "string" },
        "database-url": { type: "string" },
        help: { type: "boolean", short: "h" },
      },
    }).values;
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    throw new KeysteadError("configuration_invalid", `${said}\n\n${USAGE}`, { cause: error });
  }
}

function dataDirectory(given: string | undefined, env: NodeJS.ProcessEnv): string {
  if (given === undefined) return resolve(".keystead");
  // npm starts scripts in the package's folder; INIT_CWD is where the user typed the command.
  return resolve(env["INIT_CWD"] ?? ".", given);
}

/** Who sets both variables has the two roles that production has; who sets one names the owner. */
function databaseUrls(
  given: string | undefined,
  env: NodeJS.ProcessEnv,
): Pick<StartOptions, "ownerUrl" | "runtimeUrl"> {
  const [url, ownerUrl] = [env["DATABASE_URL"] || undefined, env["KEYSTEAD_DATABASE_OWNER_URL"] || undefined];
  if (given !== undefined) return { ownerUrl: checkedUrl(given), runtimeUrl: undefined };
  return { ownerUrl: checkedUrl(ownerUrl ?? url), runtimeUrl: ownerUrl && url };
}

function checkedUrl(url: string | undefined): string | undefined {
  if (url === undefined || (/^postgres(ql)?:\/\//.test(url) && URL.canParse(url))) return url;
  // The value is not shown: it may hold a password.
  throw new KeysteadError("configuration_invalid", "The database URL must start with postgres:// and name a host.");
}

function portOf(text: string): number {
  const port = Number(text);
  if (/^\d+$/.test(text) && port <= 65_535) return port;
  throw new KeysteadError("configuration_invalid", `The API port must be a number from 0 to 65535, not "${text}".`);
}
