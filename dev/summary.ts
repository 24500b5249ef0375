import { join, relative } from "node:path";
import { onPath } from "./control-plane/kubectl.ts";
import type { StartOptions } from "./start-options.ts";
import { alignedTable } from "./terminal.ts";
import type { Terminal } from "./terminal.ts";
import type { Workbench } from "./workbench.ts";

/** Prints what runs where, what to type next, and what the user should know. */
export function printSummary(workbench: Workbench, options: StartOptions, terminal: Terminal): void {
  const at = (name: string): string => shortest(join(options.dataDirectory, name));
  const { cluster, database, controller, api, apiPort } = workbench;
  const rows = [
    ["part", "address", "process"],
    ...cluster.rows,
    ["postgres", withoutPassword(database.ownerUrl), pid(database.parts[0])],
    ["controller", `${controller.metricsUrl}/metrics`, pid(controller.child)],
    ["api", `http://localhost:${apiPort}`, pid(api.child)],
  ];
  terminal.line();
  terminal.line(alignedTable(rows));
  terminal.line();
  terminal.line(
    alignedTable([
      ["kubeconfig", at("kubeconfig")],
      ["database URL", at("database-url")],
      [
        "encryption key",
        process.env["KEYSTEAD_ENCRYPTION_KEY"] ? "from KEYSTEAD_ENCRYPTION_KEY" : at("encryption-key"),
      ],
      ["logs", at("logs")],
    ]),
  );
  terminal.line();
  terminal.line(terminal.bold("Try:"));
  for (const command of commands(workbench, at)) terminal.line(`  ${command}`);
  for (const warning of workbench.warnings) terminal.line(`\n${terminal.bold("Note:")} ${warning}`);
  terminal.line();
}

function commands(workbench: Workbench, at: (name: string) => string): string[] {
  const { cluster, apiPort } = workbench;
  const kubectl = onPath("kubectl") ? "kubectl" : cluster.kubectl.program;
  const secret = "secret production-keystead -o jsonpath='{.data.KEYSTEAD_SECRET_KEY}'";
  const sealed = `psql "$(cat ${at("database-url")})" -c 'select connection_id, credentials_sealed from keystead.connections'`;
  return [
    `export KUBECONFIG=${cluster.kubeconfig}`,
    `${kubectl} -n keystead-demo get keystead`,
    `KEY=$(${kubectl} -n keystead-demo get ${secret} | base64 -d)`,
    `curl -H "Authorization: Bearer $KEY" 'http://localhost:${apiPort}/connections/acme?provider_config_key=stripe'`,
    // Postgres comes without it, so it is of use only to who has it.
    ...(onPath("psql") ? [sealed] : []),
  ];
}

function pid(child: { readonly pid: number } | undefined): string {
  return child ? `pid ${child.pid}` : "";
}

function withoutPassword(url: string): string {
  const shown = new URL(url);
  shown.password = "";
  return shown.href;
}

/** Relative to where the user is, if that is shorter. */
function shortest(path: string): string {
  const short = relative(process.cwd(), path);
  return short.length < path.length ? short : path;
}
