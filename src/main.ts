#!/usr/bin/env node
import { parseArgs } from "node:util";
import { loadConfig } from "./config.ts";
import { asKeysteadError, KeysteadError } from "./errors.ts";
import { growHeapSlowly, keepHeapSmall } from "./heap.ts";
import { VERSION } from "./version.ts";

const HELP = `Keystead ${VERSION}: keeps the credentials an application holds for other companies' APIs.

Usage: keystead <command>

Commands
  controller   reconcile Environment, Integration and Connection resources
  api          serve credentials over HTTP
  run          both in one process, for small installations
  migrate      bring the database to this version's schema; --check only says what would be done
  crds         print the custom resource definitions
  keygen       print a new encryption key
  admin sweep  show a sweep of orphaned rows that was stopped; --confirm lets it go on
  keys         list the encryption keys, what each wraps and which can go; "-o json" for scripts
  keys retire <fingerprint>
               end the life of an encryption key that nobody configures any more
  audit verify show that no audit event was changed, removed or inserted; --head <head> checks
               against a head that was logged; "-o json" for scripts

Options
  -h, --help     this text
  -v, --version  the version

Examples
  keystead keygen > key
  KEYSTEAD_DATABASE_OWNER_URL=postgres://owner@db/keystead keystead migrate
  keystead crds | kubectl apply --server-side -f -
  KEYSTEAD_ENCRYPTION_KEY_FILE=key DATABASE_URL=postgres://keystead@db/keystead keystead api
  kubectl exec deploy/keystead-api -- keystead keys

Every setting is an environment variable; docs/configuration.md lists them.
`;

/** Exit status for a command line that cannot be understood, as in most Unix programs. */
const USAGE_ERROR = 2;

/** For the last lines of a process that leaves something behind. */
const LEFT_BEHIND_MS = 100;

/** Runs one command and answers the exit status. Output for people and scripts goes to stdout, errors to stderr. */
async function main(argv: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      help: { type: "boolean", short: "h" },
      version: { type: "boolean", short: "v" },
      check: { type: "boolean" },
      confirm: { type: "boolean" },
      cluster: { type: "string" },
      output: { type: "string", short: "o" },
      head: { type: "string" },
    },
  });
  const [command, ...rest] = positionals;
  if (values.help) return print(HELP);
  if (values.version) return print(`${VERSION}\n`);
  if (command === "audit" && rest.join() === "verify" && !values.check) return await verifyAudit(argv, values);
  if (values.head !== undefined) return misused(argv.join(" "));
  if (command === "keys") return await manageKeys(argv, rest, values);
  if (values.output !== undefined) return misused(argv.join(" "));
  if (command === "admin" && rest.join() === "sweep" && !values.check) {
    const { adminSweep } = await import("./admin.ts");
    const { text, status } = await adminSweep({ confirm: values.confirm === true, cluster: values.cluster });
    process.stdout.write(text);
    return status;
  }
  if (values.confirm || values.cluster !== undefined) return misused(argv.join(" "));
  if (rest.length > 0 || (values.check && command !== "migrate")) return misused(argv.join(" "));
  switch (command) {
    case "controller":
      keepHeapSmall();
      return await serveRoles([command]);
    case "api":
      growHeapSlowly();
      return await serveRoles([command]);
    case "run":
      // The API first: it serves what is stored, whether or not the API server answers.
      return await serveRoles(["api", "controller"]);
    case "migrate":
      return await migrateDatabase(values.check === true);
    case "crds":
      return print((await import("./resources/crd.ts")).crdYaml());
    case "keygen":
      return print(`${(await import("./crypto/kek.ts")).generateKeyEncryptionKey()}\n`);
    case undefined:
    default:
      return misused(argv.join(" "));
  }
}

async function manageKeys(
  argv: readonly string[],
  rest: readonly string[],
  { output, check }: { readonly output?: string | undefined; readonly check?: boolean | undefined },
): Promise<number> {
  const [verb, keyId, ...more] = rest;
  const { printKeys, retireKey } = await import("./keys-command.ts");
  if (verb === undefined && !check && (output === undefined || output === "json"))
    return print(await printKeys(output ?? "table"));
  const retires = verb === "retire" && keyId !== undefined && more.length === 0;
  if (retires && !check && output === undefined) return print(await retireKey(keyId));
  return misused(argv.join(" "));
}

async function verifyAudit(
  argv: readonly string[],
  { output, head }: { readonly output?: string | undefined; readonly head?: string | undefined },
): Promise<number> {
  if (output !== undefined && output !== "json") return misused(argv.join(" "));
  const { auditVerify } = await import("./audit-command.ts");
  const { text, status } = await auditVerify({ format: output ?? "table", head }, (line) =>
    process.stderr.write(`${line}\n`),
  );
  process.stdout.write(text);
  return status;
}

async function serveRoles(roles: readonly ("controller" | "api")[]): Promise<number> {
  const { serve } = await import("./serve.ts");
  const stop = new AbortController();
  // Heard again and again: a terminal and what passes its Ctrl-C on both send one, and the end has a deadline anyway.
  for (const name of ["SIGINT", "SIGTERM"] as const) process.on(name, () => stop.abort());
  try {
    await serve(roles, stop.signal);
  } finally {
    // What did not end in time would keep the process. Where nothing is left the timer does not, and never fires.
    setTimeout(() => process.exit(), LEFT_BEHIND_MS).unref();
  }
  return 0;
}

async function migrateDatabase(checkOnly: boolean): Promise<number> {
  const { migration } = loadConfig(process.env, ["migration"]);
  const { checkMigrations, migrate } = await import("./db/migrate.ts");
  if (!checkOnly) {
    const { pending, version } = await migrate(migration);
    const done = pending.length === 0 ? "nothing to do" : `applied ${pending.join(", ")}`;
    return print(`The database is at schema version ${version}: ${done}.\n`);
  }
  const { pending, version } = await checkMigrations(migration);
  if (pending.length === 0) return print(`The database is at schema version ${version}: nothing to do.\n`);
  process.stdout.write(
    `The database is at schema version ${version}; \`keystead migrate\` would apply ${pending.join(", ")}.\n`,
  );
  return 1;
}

function print(text: string): number {
  process.stdout.write(text);
  return 0;
}

function misused(commandLine: string): number {
  const given = commandLine === "" ? "No command is given" : `\`${commandLine}\` is not understood`;
  process.stderr.write(`keystead: ${given}. See \`keystead --help\`.\n`);
  return USAGE_ERROR;
}

/** `parseArgs` has codes of its own for what a person typed. */
function isUsageError(thrown: unknown): thrown is Error {
  return thrown instanceof Error && "code" in thrown && String(thrown.code).startsWith("ERR_PARSE_ARGS_");
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (thrown) {
  if (isUsageError(thrown)) {
    process.exitCode = misused(process.argv.slice(2).join(" "));
  } else {
    const error = asKeysteadError(thrown);
    process.stderr.write(`keystead: ${error.message} (${error.code})\n`);
    if (!(thrown instanceof KeysteadError) && thrown instanceof Error) process.stderr.write(`${thrown.stack ?? ""}\n`);
    process.exitCode = 1;
  }
}
