// What one request or connection may take of the process. The numbers stand in docs/api.md as well.

/** Bytes of a request's body. No body of the contract's credential part comes near it: a GitHub App's key has 2 KiB. */
export const BODY_BYTES = 1024 * 1024;

/** Bytes of all headers together. A browser behind a proxy sends up to 8 KiB; nobody sends twice that on purpose. */
export const HEADER_BYTES = 16 * 1024;

/** For all headers to arrive, so that a connection that trickles them is not kept for free. */
export const HEADERS_TIMEOUT_MS = 10_000;

/** For the whole request to arrive: 1 MiB at 35 KB/s. */
export const REQUEST_TIMEOUT_MS = 30_000;

/** How often Node looks for connections past these two limits; a limit is kept within this time. */
export const TIMEOUT_CHECK_MS = 2_000;

/** Idle time of a kept connection: longer than the 60 s of usual load balancers, or they would send into a closed one. */
export const KEEP_ALIVE_MS = 75_000;

/** Connections of one process: an idle one costs about 10 KiB, so that many stay within 100 MiB. */
export const CONNECTIONS = 10_000;

/**
 * Characters of one part of the path, still percent-encoded. An id has up to 255, each up to three when encoded; a
 * longer one is no id, and what is between 256 and this gets the answer that says so.
 */
export const PATH_PART_CHARACTERS = 1_024;

/** For requests in flight to finish when the process ends: within the 30 s that Kubernetes gives a pod by default. */
export const DRAIN_MS = 20_000;
