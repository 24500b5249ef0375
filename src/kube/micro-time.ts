/** An instant (milliseconds since the epoch) as `metav1.MicroTime` spells it: exactly six digits. */
export function microTime(at: number): string {
  return new Date(at).toISOString().replace("Z", "000Z");
}
