import type { Integration } from "../resources/integration.ts";
import { declaredOrigins, type Sending } from "../resources/proxy.ts";
import { ACCEPT_ORIGIN } from "./metadata-names.ts";
import { type Outcome, stalled } from "./outcome.ts";

/** What became of the origins of an Integration. */
export interface OriginsVerdict {
  /** Where credentials may be sent from now on; undefined as long as no origin was ever declared. */
  readonly accepted: readonly string[] | undefined;
  /** Declared, and not accepted yet. */
  readonly pending: readonly string[];
}

/**
 * Credentials that were stored while an Integration pointed at one origin are not sent to another because of an edit. The
 * first origins that it has are accepted with it; later ones only by name. Those accepted before stay so while others
 * wait, so that an edit can be taken back; once nothing waits, what is declared is what is accepted. To remove all of them
 * and to declare others is an edit like any other. Pure.
 */
export function judgeOrigins(
  declared: readonly string[],
  accepted: readonly string[] | undefined,
  named: readonly string[],
): OriginsVerdict {
  if (declared.length === 0) return { accepted, pending: [] };
  if (accepted === undefined) return { accepted: declared, pending: [] };
  const pending = declared.filter((origin) => !accepted.includes(origin) && !named.includes(origin));
  if (pending.length === 0) return { accepted: declared, pending };
  const added = declared.filter((origin) => named.includes(origin));
  return { accepted: [...new Set([...accepted, ...added])].toSorted(), pending };
}

/** The verdict on a resource and where it sends by now, the catalogue included, with what its annotation accepts: origins between blanks or commas. */
export function originsOf(
  { metadata }: Integration,
  sending: Sending,
  accepted: readonly string[] | undefined,
): OriginsVerdict {
  const named = (metadata.annotations[ACCEPT_ORIGIN] ?? "")
    .split(/[\s,]+/)
    .flatMap((text) => URL.parse(text)?.origin ?? []);
  return judgeOrigins(declaredOrigins(sending), accepted, named);
}

/** The outcome while an origin waits to be accepted. What was stored is served to applications, and sent nowhere. */
export function originChanged({ metadata: { name } }: Integration, pending: readonly string[]): Outcome {
  const origins = pending.join(" and ");
  return stalled(
    "OriginChanged",
    `Credentials of ${name} were stored while it did not point to ${origins}, so none is sent anywhere. If that is meant, set the annotation ${ACCEPT_ORIGIN} to ${pending.join(",")}; else take the edit back.`,
  );
}
