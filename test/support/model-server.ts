import type { ServerResponse } from "node:http";
import type { FaultServer, SeenRequest } from "./fault-server.ts";
import { bookmark, frame, object, page, refusal } from "./fault-server.ts";

/** What goes wrong with one request. `cut` breaks a watch off after that many bytes, in the middle of a frame if need be. */
export type Fault =
  | { readonly kind: "reset" }
  | { readonly kind: "refuse"; readonly code: 429 | 500 | 503 }
  | { readonly kind: "cut"; readonly bytes: number; readonly hard: boolean }
  | { readonly kind: "error frame" };

interface Change {
  readonly version: number;
  readonly frame: string;
}

/** Objects with a history, served as the API server does: paged lists of one snapshot, watches from a version, 410 for what is forgotten. */
export interface ModelServer {
  put(name: string): void;
  remove(name: string): void;
  /** Forgets the history so far: watches and page tokens from before end with 410. */
  compact(): void;
  /** Closes the watches that are open, in good order. */
  closeWatches(): void;
  /** The next request meets this. */
  plan(fault: Fault): void;
  /** Name and version of every object. */
  state(): Record<string, string>;
}

/** Two objects a page, so that a handful of objects makes several pages. */
const PAGE = 2;

/** Puts the model behind the server's lists and watches. */
export function serveModel(server: FaultServer): ModelServer {
  const objects = new Map<string, number>();
  const snapshots = new Map<string, [string, number][]>();
  const watchers = new Set<Watcher>();
  const faults: Fault[] = [];
  let history: Change[] = [];
  let version = 1;
  let compactedAt = 1;

  const record = (type: string, name: string): void => {
    const change = { version, frame: frame(type, object(name, String(version))) };
    history.push(change);
    for (const watcher of watchers) send(watcher, change.frame);
  };

  const list = (response: ServerResponse, request: SeenRequest): void => {
    const token = request.query.get("continue");
    const [at, from] = token === null ? [String(version), 0] : splitToken(token);
    if (Number(at) < compactedAt) return void refusal(410, "Expired")(response, request);
    const snapshot = snapshots.get(at) ?? [...objects];
    snapshots.set(at, snapshot);
    const items = snapshot.slice(from, from + PAGE).map(([name, known]) => object(name, String(known)));
    const next = from + PAGE < snapshot.length ? `${at}:${from + PAGE}` : "";
    void page(items, at, next)(response, request);
  };

  const watch = (response: ServerResponse, request: SeenRequest, fault: Fault | undefined): void => {
    const from = Number(request.query.get("resourceVersion"));
    if (from < compactedAt) return void refusal(410, "Expired")(response, request);
    response.writeHead(200, { "content-type": "application/json" });
    response.flushHeaders();
    if (fault?.kind === "error frame") {
      response.end(frame("ERROR", { kind: "Status", code: 500, reason: "InternalError" }));
      return;
    }
    const watcher: Watcher = { response, cut: fault?.kind === "cut" ? fault : undefined, sent: 0 };
    watchers.add(watcher);
    response.on("close", () => watchers.delete(watcher));
    for (const change of history) if (change.version > from) send(watcher, change.frame);
    send(watcher, bookmark(String(version)));
  };

  const react = (response: ServerResponse, request: SeenRequest): void => {
    const fault = faults.shift();
    if (fault?.kind === "reset") response.socket?.resetAndDestroy();
    else if (fault?.kind === "refuse") void refusal(fault.code, "Refused")(response, request);
    else if (request.ask === "list") list(response, request);
    else watch(response, request, fault);
  };
  server.otherwise("list", react);
  server.otherwise("watch", react);

  return {
    put(name) {
      version += 1;
      const type = objects.has(name) ? "MODIFIED" : "ADDED";
      objects.set(name, version);
      record(type, name);
    },
    remove(name) {
      if (!objects.delete(name)) return;
      version += 1;
      record("DELETED", name);
    },
    compact() {
      version += 1;
      compactedAt = version;
      history = [];
      snapshots.clear();
    },
    closeWatches() {
      for (const { response } of watchers) response.end();
      watchers.clear();
    },
    plan: (fault) => void faults.push(fault),
    state: () => Object.fromEntries([...objects].map(([name, known]) => [name, String(known)])),
  };
}

interface Watcher {
  readonly response: ServerResponse;
  readonly cut: { readonly bytes: number; readonly hard: boolean } | undefined;
  sent: number;
}

function send(watcher: Watcher, text: string): void {
  const { response, cut } = watcher;
  if (response.writableEnded || response.destroyed) return;
  const room = cut === undefined ? text.length : cut.bytes - watcher.sent;
  response.write(text.slice(0, Math.max(0, room)));
  watcher.sent += text.length;
  if (text.length <= room) return;
  if (cut?.hard === true) response.socket?.resetAndDestroy();
  else response.end();
}

function splitToken(token: string): [string, number] {
  const [at, from] = token.split(":");
  return [at ?? "", Number(from)];
}
