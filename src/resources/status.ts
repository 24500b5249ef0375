import { z } from "zod";

/** Instant as the API server writes it, RFC 3339. */
export function instant(description: string) {
  return z.string().max(64).meta({ description, format: "date-time" });
}

/** Unknown is what a resource is until its first pass has ended one way or the other. */
const conditionStatus = z.enum(["True", "False", "Unknown"]);

/**
 * The fields and limits of metav1.Condition, so that every client that reads conditions reads these. The controller
 * never comes near the limits; they bound what anybody else may write.
 */
const condition = z.object({
  type: z
    .string()
    .max(316)
    .describe(
      "Ready is always there. Reconciling and Stalled are there only while they are True: Reconciling heals by itself, Stalled needs an edit or a person.",
    ),
  status: conditionStatus.describe("True, False or Unknown."),
  observedGeneration: z.int().min(0).optional().describe("The metadata.generation that the condition speaks of."),
  lastTransitionTime: instant("When status last changed from one value to another."),
  reason: z.string().min(1).max(1_024).describe("One word for why, from a fixed list; made for scripts and alerts."),
  message: z
    .string()
    .max(32_768)
    .describe("A sentence that says what is wrong and what to do. It never holds a secret."),
});

/** What the status of all three kinds begins with. */
export const commonStatus = z.object({
  // kstatus takes an object without any status for finished; the default makes a new object "in progress" at once.
  observedGeneration: z
    .int()
    .min(-1)
    .default(-1)
    .describe("The metadata.generation that the controller has dealt with; -1 before the first time."),
  // Three types exist; the room is for types of other controllers, which a map by type keeps apart from ours.
  conditions: z
    .array(condition)
    .max(16)
    .optional()
    .meta({
      description: "What the controller found. kubectl wait --for=condition=Ready waits for the one named Ready.",
      "x-kubernetes-list-type": "map",
      "x-kubernetes-list-map-keys": ["type"],
    }),
});

/** Id of a row in the database, a UUIDv7. */
export function rowId(description: string) {
  return z.string().max(36).describe(description);
}
