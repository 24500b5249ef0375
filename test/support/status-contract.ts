import { REASONS } from "../../src/resources/reasons.ts";
import { kstatusOf } from "./kstatus.ts";
import { conditionOf, type Observed, type ObservedCondition } from "./resources.ts";

/** An id is none, though one of its parts may be all digits. */
const UUID = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;
/** Dates, times of day, and numbers that only a clock gives: what would make every reconcile a change. */
const TIMESTAMP = /\d{4}-\d\d-\d\d|\d\d:\d\d:\d\d|\d{12,}/;

/** A field's name may begin one. */
const SENTENCE = /^(?:[A-Z]|spec\.).*\.$/s;

/**
 * What a resource's versions, oldest first and all of one uid, break of the status contract: one sentence each, none for
 * a resource that kept it from its creation to its deletion.
 */
export function breachesOf(versions: readonly Observed[]): string[] {
  return versions.flatMap((version, index) => {
    const before = versions[index - 1];
    const breaches = [...breachesOfOne(version), ...(before ? breachesOfStep(before, version) : [])];
    const { name, generation } = version.metadata;
    return breaches.map((breach) => `${name}: ${breach}: ${JSON.stringify({ generation, status: version.status })}`);
  });
}

function breachesOfOne(object: Observed): string[] {
  const { generation } = object.metadata;
  const observed = object.status?.observedGeneration;
  const conditions = object.status?.conditions ?? [];
  if (observed === undefined) return ["observedGeneration is missing"];
  const ready = conditionOf(object, "Ready");
  const beside = conditions.filter(({ type }) => type !== "Ready");
  return [
    ...when(observed > generation, "observedGeneration is ahead of generation"),
    ...when((observed === -1) !== (conditions.length === 0), "conditions and observedGeneration do not begin together"),
    ...when(conditions.length > 0 && conditions[0]?.type !== "Ready", "Ready is not the first condition"),
    ...when(beside.length > 1, "more than one condition stands beside Ready"),
    ...when(
      beside.some(({ type, status }) => !["Reconciling", "Stalled"].includes(type) || status !== "True"),
      "a condition beside Ready is not Reconciling or Stalled, or is not True",
    ),
    ...when(beside[0]?.type === "Stalled" && ready?.status === "Unknown", "a Stalled resource is Ready=Unknown"),
    ...when(
      kstatusOf(object) === "Current" && (ready?.status !== "True" || ready.observedGeneration !== generation),
      "kstatus calls Current what is not ready at this generation",
    ),
    ...conditions.flatMap((condition) => breachesOfCondition(condition, generation)),
  ];
}

function breachesOfCondition(condition: ObservedCondition, generation: number): string[] {
  const { type, reason, message, observedGeneration = -1 } = condition;
  return [
    ...when(!Object.hasOwn(REASONS, reason), `${type} has the unlisted reason ${reason}`),
    ...when(
      !SENTENCE.test(message) || TIMESTAMP.test(message.replaceAll(UUID, "")),
      `the message of ${type} is no plain sentence`,
    ),
    ...when(observedGeneration < 1 || observedGeneration > generation, `${type} has an impossible generation`),
  ];
}

function breachesOfStep(before: Observed, after: Observed): string[] {
  // The other way round cannot be claimed: times have whole seconds, and two transitions may fall into one.
  const moved = (after.status?.conditions ?? []).filter(({ type, status, lastTransitionTime }) => {
    const last = conditionOf(before, type);
    return last?.status === status && last.lastTransitionTime !== lastTransitionTime;
  });
  return [
    ...when(observedGenerationOf(after) < observedGenerationOf(before), "observedGeneration went back"),
    ...moved.map(({ type }) => `lastTransitionTime of ${type} moved without a transition`),
  ];
}

function observedGenerationOf(object: Observed): number {
  return object.status?.observedGeneration ?? -1;
}

function when(broken: boolean, breach: string): string[] {
  return broken ? [breach] : [];
}
