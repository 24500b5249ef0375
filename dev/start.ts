import { stopRequest } from "./stop-request.ts";

// The executable behind `npm start`. The signals are heard before anything else is loaded, which takes half a second: a Ctrl-C in
// that time ends the start as orderly as a later one.
const stop = stopRequest();
const { runStart } = await import("./run-start.ts");
process.exitCode = await runStart(process.argv.slice(2), stop);
// Whatever still waits for an answer must not keep the process.
process.exit();
