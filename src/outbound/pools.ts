import { Agent, type AgentOptions, type ClientRequestArgs } from "node:http";
import type { Duplex } from "node:stream";
import type { Destination, Dialler } from "./dialler.ts";

/** How long a connection may be idle. Most servers keep one for at least 5 s; one that they closed costs a retry. */
const KEPT_MS = 4_000;

/** Idle connections kept to one server; those beyond are closed after their request. */
const KEPT_PER_SERVER = 64;

/** When a dial ends that nobody waits for any more; whoever waits has a limit of their own, below this one. */
const LONGEST_DIAL_MS = 60_000;

/** Connections that are open, by what was allowed to open them. */
export interface Pools extends Disposable {
  /** For calls of a namespace. `fresh`: one that takes no connection that was used before. */
  agentFor(namespace: string | undefined, secure: boolean, fresh: boolean): Agent;
}

/**
 * A kept connection leads to an address that was checked when it was opened, for the same host name and port and under
 * the same entries of the list, which never change while the process lives. So using it again needs no second check.
 */
export function createPools(dialler: Dialler): Pools {
  const agents = new Map<string, Agent>();
  const create = (namespace: string | undefined, secure: boolean, options: AgentOptions): Agent =>
    new DiallingAgent(dialler, namespace, secure, options);
  return {
    agentFor(namespace, secure, fresh) {
      const listed = dialler.listedNamespace(namespace);
      if (fresh) return create(listed, secure, { keepAlive: false });
      const key = `${secure ? "https" : "http"} ${listed ?? ""}`;
      const known = agents.get(key);
      if (known) return known;
      const agent = create(listed, secure, { keepAlive: true, timeout: KEPT_MS, maxFreeSockets: KEPT_PER_SERVER });
      agents.set(key, agent);
      return agent;
    },
    [Symbol.dispose]() {
      for (const agent of agents.values()) agent.destroy();
    },
  };
}

type Done = (error: unknown, stream?: Duplex) => void;

async function hand(dialler: Dialler, destination: Destination, done: Done | undefined): Promise<void> {
  let socket: Duplex;
  try {
    socket = await dialler.dial(destination, AbortSignal.timeout(LONGEST_DIAL_MS));
  } catch (thrown) {
    done?.(thrown);
    return;
  }
  done?.(null, socket);
}

/** Leaves to Node what an agent does with connections, and opens them by our dialler, TLS included. */
class DiallingAgent extends Agent {
  readonly #dialler: Dialler;
  readonly #namespace: string | undefined;
  readonly #secure: boolean;

  constructor(dialler: Dialler, namespace: string | undefined, secure: boolean, options: AgentOptions) {
    super(options);
    this.#dialler = dialler;
    this.#namespace = namespace;
    this.#secure = secure;
  }

  override getName({ host, port }: { host?: unknown; port?: unknown } = {}): string {
    return `${String(host)} ${String(port)}`;
  }

  override createConnection(
    { host, port }: ClientRequestArgs,
    done?: (error: Error | null, stream: Duplex) => void,
  ): undefined {
    const destination = {
      hostname: host ?? "",
      port: Number(port),
      secure: this.#secure,
      namespace: this.#namespace,
    };
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- Node's callback takes an error alone, its types do not
    void hand(this.#dialler, destination, done as Done | undefined);
  }
}
