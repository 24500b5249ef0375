import { z } from "zod";
import type { JsonValue } from "../crypto/canonical-json.ts";

/**
 * An object of any members. Whatever came from a parser of JSON is JSON: going through it again would only cost time, and
 * the stack where it nests deeply.
 */
export const jsonObject = z.record(z.string(), z.custom<JsonValue>());
