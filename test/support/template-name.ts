/** With the schema alone, or also with what refuses writes that no test may make. */
export type Template = "migrated" | "guarded";

/** The databases that those of the tests are copies of: for each run its own, which the run drops at its end. */
export function templateName(run: string, template: Template): string {
  return `keystead_${template}_${run}`;
}
