import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

/** What a run of the model checker came to. */
type Finding = "nothing" | "a violated property" | "a state with no way on" | "no end";

/** A model with its settings, and what has to be found in it. */
interface Run {
  readonly name: string;
  readonly model: string;
  /** Names of the preprocessor with their values. */
  readonly settings: readonly string[];
  readonly expected: Finding;
}

/** The same with what was found. */
interface RunResult extends Run {
  readonly found: Finding;
  readonly states: number;
  readonly seconds: number;
}

/** How checking all models ended. */
export type SpecOutcome =
  | { readonly kind: "missing"; readonly message: string }
  | { readonly kind: "checked"; readonly runs: readonly RunResult[] };

const REFRESH = "refresh.pml";

/** Every interleaving of each. The mutants are there to show that the properties are not true of anything whatever. */
const RUNS: readonly Run[] = [
  refresh("3 replicas", ["N=3"], "nothing"),
  refresh("2 replicas, 2 refreshes each", ["N=2", "ROUNDS=2"], "nothing"),
  refresh("2 replicas, other tokens stored meanwhile", ["N=2", "WRITER"], "nothing"),
  refresh("2 replicas and a reader", ["N=2", "READER"], "nothing"),
  refresh("mutant: commit without fence", ["N=2", "MUTANT_NO_FENCE"], "a violated property"),
  refresh("mutant: late refresh token dropped", ["N=2", "MUTANT_NO_SPARE"], "a violated property"),
  refresh(
    "mutant: failure without fence",
    ["N=2", "MOST_REFUSALS=1", "MUTANT_UNFENCED_FAILURE"],
    "a violated property",
  ),
  refresh("mutant: reader does not look again", ["N=2", "READER", "MUTANT_STALE_READER"], "a violated property"),
  refresh("mutant: lease without end", ["N=2", "MUTANT_ENDLESS_LEASE"], "a state with no way on"),
];

function refresh(name: string, settings: readonly string[], expected: Finding): Run {
  return { name: `refresh: ${name}`, model: REFRESH, settings, expected };
}

/** Steps of one run before the search would be cut: the deepest is at about 1,000. */
const MOST_STEPS = 1_000_000;
/** MiB. A search that needs more has not ended, and says so. */
const MOST_MEMORY = 8_192;

const call = promisify(execFile);

/** Checks one model after the other, each in a folder of its own that is removed again. */
export async function runSpec(tell: (progress: string) => void): Promise<SpecOutcome> {
  for (const program of ["spin", "gcc"]) {
    if (!(await isInstalled(program))) {
      return {
        kind: "missing",
        message: `\`${program}\` is not installed, and the models are checked with it: on Debian and Ubuntu it is in the package ${program} (apt-get install spin gcc).`,
      };
    }
  }
  const runs: RunResult[] = [];
  for (const run of RUNS) {
    tell(run.name);
    runs.push(await check(run));
  }
  return { kind: "checked", runs };
}

async function isInstalled(program: string): Promise<boolean> {
  try {
    // Neither of them ends with an error where it only tells its version.
    await call(program, [program === "spin" ? "-V" : "--version"]);
    return true;
  } catch {
    return false;
  }
}

async function check(run: Run): Promise<RunResult> {
  const startedAt = performance.now();
  const folder = await mkdtemp(join(tmpdir(), "keystead-spec-"));
  const model = join(import.meta.dirname, "..", "spec", run.model);
  try {
    const inFolder = { cwd: folder, maxBuffer: 64 * 1024 * 1024 };
    await call("spin", [...run.settings.map((setting) => `-D${setting}`), "-a", model], inFolder);
    // -w: the C that spin writes has warnings of its own.
    const limits = ["-DSAFETY", "-DCOLLAPSE", `-DMEMLIM=${MOST_MEMORY}`];
    await call("gcc", ["-O2", "-w", ...limits, "-o", "pan", "pan.c"], inFolder);
    const { stdout } = await call("./pan", [`-m${MOST_STEPS}`], inFolder);
    return { ...run, ...findingOf(stdout), seconds: (performance.now() - startedAt) / 1_000 };
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** What the report of a search says. Pure. */
export function findingOf(report: string): Pick<RunResult, "found" | "states"> {
  const states = Number(/^\s*(\d+) states, stored/m.exec(report)?.[1] ?? 0);
  const isComplete = /errors: 0$/m.test(report) && !/search not completed|max search depth too small/i.test(report);
  if (isComplete) return { found: "nothing", states };
  if (report.includes("invalid end state (at")) return { found: "a state with no way on", states };
  return { found: /assertion violated \(?/.test(report) ? "a violated property" : "no end", states };
}
