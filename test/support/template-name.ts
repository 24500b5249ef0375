/** The migrated database that those of the tests are copies of: one for each run, which the run drops at its end. */
export function templateName(run: string): string {
  return `keystead_template_${run}`;
}
