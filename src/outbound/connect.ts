import { once } from "node:events";
import { connect as connectTcp, isIP, type LookupFunction, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { unreachable } from "./failures.ts";

/** A host with the addresses that were checked. */
export interface CheckedHost {
  /** As `URL.hostname` has it, without the brackets of IPv6. */
  readonly hostname: string;
  readonly port: number;
  readonly addresses: readonly string[];
}

/** Tries the checked addresses as Node does by itself (RFC 8305): its look-up is answered with them and asks nobody. */
export async function connectDirect(host: CheckedHost, signal: AbortSignal): Promise<Socket> {
  const answers = host.addresses.map((address) => ({ address, family: isIP(address) }));
  const checked: LookupFunction = (_hostname, options, done) => {
    const [first] = answers;
    if (options.all === true) done(null, answers);
    else done(null, first?.address ?? "", first?.family);
  };
  const { hostname, port } = host;
  const socket = connectTcp({ host: hostname, port, lookup: checked, autoSelectFamily: true, noDelay: true });
  return opened(socket, "connect", `${hostname}:${port} cannot be reached`, signal);
}

/** TLS over an open connection, to a host whose certificate is for this name or address. */
export async function startTls(
  socket: Socket,
  hostname: string,
  ca: readonly string[] | undefined,
  signal: AbortSignal,
): Promise<TLSSocket> {
  const secured = connectTls({
    socket,
    // RFC 6066 section 3: an address is no server name. The certificate is checked against it all the same.
    ...(isIP(hostname) === 0 ? { servername: hostname } : { host: hostname }),
    ALPNProtocols: ["http/1.1"],
    // Said although it is the default, which a variable of the environment could change.
    rejectUnauthorized: true,
    ...(ca && { ca: [...ca] }),
  });
  return opened(secured, "secureConnect", `${hostname} cannot be spoken to over TLS`, signal, "outbound_tls_invalid");
}

/** The socket once it is open; it is destroyed when that fails or is given up. */
export async function opened<S extends Socket>(
  socket: S,
  event: "connect" | "secureConnect",
  complaint: string,
  signal: AbortSignal,
  code: "outbound_unreachable" | "outbound_tls_invalid" = "outbound_unreachable",
): Promise<S> {
  // Between two users nobody else listens, and an error that nobody hears ends the process.
  socket.on("error", () => undefined);
  try {
    await once(socket, event, { signal });
    return socket;
  } catch (thrown) {
    socket.destroy();
    if (signal.aborted) throw signal.reason;
    throw unreachable(complaint, thrown, code);
  }
}
