import type { RequestListener } from "node:http";
import type { Timeouts } from "../../src/api/limits.ts";
import { createEnvironment, startTestApi, type TestApi } from "./api-server.ts";
import { allowing } from "./outbound.ts";
import { selfSigned } from "./self-signed.ts";
import { startUpstream } from "./upstream.ts";

/** An API over HTTP/1.1 and one over HTTP/2, both of which proxy to one server. */
export interface ProxyingApis extends AsyncDisposable {
  readonly plain: TestApi;
  readonly secure: TestApi;
  /** For whoever connects to `secure`, as `localhost`. */
  readonly ca: string;
  /** Gives an API a connection to the server, as `plain` and `secure` have. */
  connect(api: TestApi): Promise<void>;
  /** For calls on behalf of that connection. */
  readonly headersFor: (
    api: TestApi,
  ) => Readonly<Record<"authorization" | "provider-config-key" | "connection-id", string>>;
}

export async function startProxyingApis(timeouts: Partial<Timeouts>, listener: RequestListener): Promise<ProxyingApis> {
  await using starting = new AsyncDisposableStack();
  const upstream = starting.use(await startUpstream({ listener }));
  const certificate = await selfSigned("localhost");
  const options = { cutOff: AbortSignal.abort(), wayOut: { allow: allowing("127.0.0.1") } };
  const plain = starting.use(await startTestApi(timeouts, options));
  const secured = { ...options, certificate: { ...certificate, expiresAt: new Date() } };
  const secure = starting.use(await startTestApi(timeouts, secured));
  const keys = new Map<TestApi, string>();
  const connect = async (api: TestApi): Promise<void> => {
    const shop = await createEnvironment(api);
    await shop.connection(await shop.integration("upstream", { proxy: { baseUrl: upstream.url } }), "acme");
    keys.set(api, shop.key);
  };
  for (const api of [plain, secure]) await connect(api);
  const running = starting.move();
  return {
    plain,
    secure,
    ca: certificate.cert,
    connect,
    headersFor: (api) => ({
      authorization: `Bearer ${keys.get(api)}`,
      "provider-config-key": "upstream",
      "connection-id": "acme",
    }),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}
