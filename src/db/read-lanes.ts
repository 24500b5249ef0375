import type { Socket } from "node:net";
import { Client } from "pg";
import { KeysteadError } from "../errors.ts";
import type { ConnectionSettings } from "./connection-settings.ts";
import { databaseError } from "./database-errors.ts";

/** An open connection of the reader. */
export interface ReadConnection {
  readonly client: Client;
  readonly socket: Socket;
  /** When each read was sent that is not answered, oldest first, which is the order of the answers. */
  readonly sentAt: number[];
}

/** The reader's connections. Each is opened when a read comes and it is not there, and again after it broke. */
export interface ReadLanes extends AsyncDisposable {
  /**
   * Of those that are open and answer, the connection with the fewest reads in flight; else the first to open. It counts one
   * more in flight, until the caller takes it back with `leave`. Rejects with `database_unavailable` when none can be opened, and at once during
   * the pause after that.
   */
  join(): Promise<ReadConnection>;
  /** A read was answered, or failed. */
  leave(connection: ReadConnection): void;
  /** Breaks a connection that failed or does not answer. What is in flight on it fails; the next read has it replaced. */
  abandon(connection: ReadConnection): void;
}

/** Two connections gave the highest rate and the lowest p99 of 1, 2 and 4 on two cores; one slow read then blocks half. */
export const LANES = 2;

/** A read that waits longer is behind a slow one, or its connection is dead: the other is taken while it is better off. */
const STUCK_AFTER_MS = 50;

/** Pause after a failed attempt to connect, doubled from the first to the last. Reads fail fast meanwhile. */
const FIRST_PAUSE_MS = 50;
const LAST_PAUSE_MS = 1_000;

/** The place of one connection, through all its incarnations. */
interface Lane {
  open: ReadConnection | undefined;
  opening: Promise<ReadConnection> | undefined;
  failures: number;
  retryAt: number;
  lastError: KeysteadError | undefined;
}

/** Opens nothing yet. @param now Milliseconds. */
export function createReadLanes(settings: ConnectionSettings, now: () => number): ReadLanes {
  const lanes = Array.from({ length: LANES }, createLane);
  let closed = false;

  /** Never waits: a lane that cannot be opened must not delay reads on the others. */
  const startOpening = (lane: Lane): void => {
    if (lane.opening || now() < lane.retryAt) return;
    lane.opening = open(lane, settings, now).finally(() => {
      lane.opening = undefined;
    });
    lane.opening.catch(() => {
      // The lane remembers why; whoever waits for it is told.
    });
  };

  return {
    async join() {
      if (closed) throw new KeysteadError("database_unavailable", "the database connection was closed");
      let best: ReadConnection | undefined;
      for (const lane of lanes) {
        if (!lane.open) startOpening(lane);
        else if (!best || isBetter(lane.open, best, now())) best = lane.open;
      }
      // Before anything is awaited: the next read of this moment goes to the other.
      const connection = best ?? (await firstToOpen(lanes));
      connection.sentAt.push(now());
      return connection;
    },
    leave: ({ sentAt }) => void sentAt.shift(),
    abandon(connection) {
      const lane = lanes.find(({ open: current }) => current === connection);
      if (lane) lane.open = undefined;
      // Not `end()`, which waits for the answers that do not come.
      connection.socket.destroy();
    },
    async [Symbol.asyncDispose]() {
      closed = true;
      await Promise.allSettled(lanes.map(async (lane) => (lane.open ?? (await lane.opening))?.client.end()));
    },
  };
}

function isBetter(one: ReadConnection, other: ReadConnection, now: number): boolean {
  const [oneIsStuck, otherIsStuck] = [one, other].map(({ sentAt: [oldest = now] }) => now - oldest > STUCK_AFTER_MS);
  if (oneIsStuck !== otherIsStuck) return otherIsStuck === true;
  return one.sentAt.length < other.sentAt.length;
}

function createLane(): Lane {
  return { open: undefined, opening: undefined, failures: 0, retryAt: 0, lastError: undefined };
}

async function firstToOpen(lanes: readonly Lane[]): Promise<ReadConnection> {
  try {
    return await Promise.any(lanes.flatMap(({ opening }) => opening ?? []));
  } catch (thrown) {
    throw lanes.find(({ lastError }) => lastError)?.lastError ?? databaseError(thrown);
  }
}

async function open(lane: Lane, settings: ConnectionSettings, now: () => number): Promise<ReadConnection> {
  const socket = settings.openSocket();
  const client = new Client({ ...settings.readConfig(), stream: () => socket, pipeline: true });
  const connection = { client, socket, sentAt: [] };
  const forget = (): void => {
    if (lane.open === connection) lane.open = undefined;
  };
  client.on("error", forget);
  client.on("end", forget);
  try {
    await client.connect();
  } catch (thrown) {
    if (settings.droppedStartupLimits(thrown)) return open(lane, settings, now);
    lane.failures += 1;
    lane.lastError = databaseError(thrown);
    const pause = Math.min(LAST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (lane.failures - 1));
    // Jitter: replicas that lost the database together do not all come back in one instant.
    lane.retryAt = now() + pause * (0.5 + Math.random() / 2);
    throw lane.lastError;
  }
  lane.open = connection;
  lane.failures = 0;
  lane.lastError = undefined;
  return connection;
}
