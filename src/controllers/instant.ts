/** RFC 3339 in whole seconds, as Kubernetes writes instants. */
export function instantOf(date: Date): string {
  return `${date.toISOString().slice(0, 19)}Z`;
}
