import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";

/**
 * Writes the policy of the audit log and gives its path. Only ServiceAccounts are recorded, and of them who asked for what:
 * that is what a comparison of the RBAC rules with real calls needs, while bodies would put Secrets into the log.
 */
export function writeAuditPolicy(directory: string): string {
  const path = join(directory, "audit-policy.yaml");
  const policy = {
    apiVersion: "audit.k8s.io/v1",
    kind: "Policy",
    omitStages: ["RequestReceived"],
    rules: [{ level: "Metadata", userGroups: ["system:serviceaccounts"] }, { level: "None" }],
  };
  writeFileSync(path, stringify(policy), { mode: 0o600 });
  return path;
}
