import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { connect as connectHttp2 } from "node:http2";
import { join } from "node:path";
import { connect, type SecureVersion, type TLSSocket } from "node:tls";
import { expect, test } from "vitest";
import { ensureCertificates } from "../dev/control-plane/certificates.ts";
import { readCertificate, watchCertificate } from "../src/api/certificate.ts";
import { createEnvironment, startTestApi, type TestApi } from "./support/api-server.ts";
import { eventually } from "./support/eventually.ts";
import { temporaryDirectory } from "./support/temporary-directory.ts";

const ACME = "/connections/acme?provider_config_key=github";

/** A certificate in two files of a folder, as a Secret is mounted, and others that it can be replaced with. */
async function mountedCertificate() {
  const folder = temporaryDirectory();
  const [first, second] = [
    await ensureCertificates(join(folder.path, "first")),
    await ensureCertificates(join(folder.path, "second")),
  ];
  const files = { certFile: join(folder.path, "tls.crt"), keyFile: join(folder.path, "tls.key") };
  const put = ({ server }: typeof first): void => {
    copyFileSync(server.certificate, files.certFile);
    copyFileSync(server.key, files.keyFile);
  };
  put(first);
  return {
    files,
    ca: readFileSync(first.authority, "utf8"),
    put,
    first,
    second,
    [Symbol.dispose]: () => folder[Symbol.dispose](),
  };
}

async function startSecure(mounted: Awaited<ReturnType<typeof mountedCertificate>>) {
  const certificate = await readCertificate(mounted.files);
  const api = await startTestApi({}, { certificate });
  const environment = await createEnvironment(api);
  await environment.connection(await environment.integration("github"), "acme");
  const watch = watchCertificate({
    files: mounted.files,
    current: certificate,
    use: (renewed) => api.use(renewed),
    log: api.log,
    intervalMs: 20,
  });
  return {
    api,
    key: environment.key,
    async [Symbol.asyncDispose]() {
      watch[Symbol.dispose]();
      await api[Symbol.asyncDispose]();
    },
  };
}

const portOf = (api: TestApi) => Number(new URL(api.url).port);

/** One request of HTTP/1.1. */
function get(api: TestApi, ca: string, path: string, key: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${key}` };
    request({ host: "127.0.0.1", port: portOf(api), path, ca, headers, agent: false }, (answer) => {
      let body = "";
      answer.on("data", (chunk) => (body += chunk));
      answer.on("end", () => resolve({ status: answer.statusCode ?? 0, body }));
    })
      .on("error", reject)
      .end();
  });
}

/** One stream of a session of HTTP/2. */
function stream(session: ReturnType<typeof connectHttp2>, path: string, key: string) {
  return new Promise<{ status: number; body: string; headers: Record<string, unknown> }>((resolve, reject) => {
    const call = session.request({ ":path": path, authorization: `Bearer ${key}`, "x-request-id": "seven" });
    let body = "";
    let headers: Record<string, unknown> = {};
    call.on("response", (received) => (headers = received));
    call.on("data", (chunk) => (body += chunk));
    call.on("end", () => resolve({ status: Number(headers[":status"]), body, headers }));
    call.on("error", reject);
  });
}

/** A handshake, and what came of it. */
function handshake(
  api: TestApi,
  ca: string,
  options: { maxVersion?: SecureVersion; ALPNProtocols?: string[]; rejectUnauthorized?: boolean },
) {
  return new Promise<TLSSocket>((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port: portOf(api), ca, ...options }, () => resolve(socket));
    socket.on("error", reject);
  });
}

test("with a certificate the API speaks HTTP/2 and HTTP/1.1 as the client chooses, by TLS 1.2 or 1.3 and nothing older", async () => {
  using mounted = await mountedCertificate();
  const { ca } = mounted;
  await using secure = await startSecure(mounted);
  const { api, key } = secure;
  expect((await get(api, ca, ACME, key)).status).toBe(200);

  const session = connectHttp2(`https://127.0.0.1:${portOf(api)}`, { ca });
  const [answer, list, refused] = await Promise.all([
    stream(session, ACME, key),
    stream(session, "/connections", key),
    stream(session, "/connections", "junk"),
  ]);
  session.close();
  expect([answer.status, list.status, refused.status]).toEqual([200, 200, 401]);
  expect(JSON.parse(answer.body)).toMatchObject({ connection_id: "acme", credentials: { apiKey: "k-1" } });
  expect(answer.headers["x-request-id"]).toBe("seven");

  for (const [ALPNProtocols, chosen] of [
    [["h2", "http/1.1"], "h2"],
    [["http/1.1"], "http/1.1"],
  ] as const) {
    const socket = await handshake(api, ca, { ALPNProtocols: [...ALPNProtocols] });
    expect([socket.alpnProtocol, socket.getProtocol()]).toEqual([chosen, "TLSv1.3"]);
    socket.destroy();
  }
  const older = await handshake(api, ca, { maxVersion: "TLSv1.2" });
  expect(older.getProtocol()).toBe("TLSv1.2");
  older.destroy();
  await expect(handshake(api, ca, { maxVersion: "TLSv1.1" })).rejects.toThrow();
  await expect(fetch(`http://127.0.0.1:${portOf(api)}/livez`)).rejects.toThrow();
});

test("a renewed certificate is used for new connections, and the open ones go on", async () => {
  using mounted = await mountedCertificate();
  const { ca, put, second } = mounted;
  await using secure = await startSecure(mounted);
  const { api, key } = secure;
  const issuerOf = async () => {
    // Two authorities of one name: a client that has both would try the wrong one.
    const socket = await handshake(api, "", { rejectUnauthorized: false });
    const { fingerprint256 } = socket.getPeerCertificate();
    socket.destroy();
    return fingerprint256;
  };
  const session = connectHttp2(`https://127.0.0.1:${portOf(api)}`, { ca });
  expect((await stream(session, ACME, key)).status).toBe(200);
  const before = await issuerOf();

  put(second);
  await eventually(async () => expect(await issuerOf()).not.toBe(before));
  expect((await stream(session, ACME, key)).status, "the session that was open").toBe(200);
  expect((await get(api, readFileSync(second.authority, "utf8"), ACME, key)).status).toBe(200);
  session.close();
});

test("a certificate that cannot be used is said once, and the one before stays", async () => {
  using mounted = await mountedCertificate();
  const { ca, files, put, second } = mounted;
  await using secure = await startSecure(mounted);
  const { api, key } = secure;
  const complaints = () => api.logged().match(/the new certificate cannot be used/g)?.length ?? 0;

  copyFileSync(second.server.key, files.keyFile);
  await eventually(() => expect(complaints()).toBe(1));
  expect(api.logged()).toContain("is not the key of the certificate");
  expect((await get(api, ca, ACME, key)).status).toBe(200);

  writeFileSync(files.keyFile, "-----BEGIN PRIVATE KEY-----\nc2VjcmV0LWNhbmFyeQ==\n-----END PRIVATE KEY-----\n");
  await eventually(() => expect(complaints()).toBe(2));
  expect(api.logged()).not.toContain("c2VjcmV0LWNhbmFyeQ");
  expect((await get(api, ca, ACME, key)).status).toBe(200);

  put(second);
  await eventually(() => expect(api.logged()).toContain("the certificate was renewed"));
});

test.each([
  ["a file that is not there", "nobody.crt", "tls.key", "cannot be read"],
  ["a key where the certificate is due", "tls.key", "tls.key", "holds no PEM certificate"],
  ["a certificate where the key is due", "tls.crt", "tls.crt", "holds no PEM private key"],
])("%s is refused and named before anything is served", async (_case, cert, key, says) => {
  using mounted = await mountedCertificate();
  const folder = join(mounted.files.certFile, "..");
  const reading = readCertificate({ certFile: join(folder, cert), keyFile: join(folder, key) });
  await expect(reading).rejects.toMatchObject({
    code: "configuration_invalid",
    message: expect.stringContaining(says),
  });
});

test("the process that ends lets a stream of HTTP/2 finish", async () => {
  using mounted = await mountedCertificate();
  await using secure = await startSecure(mounted);
  const { api, key } = secure;
  const session = connectHttp2(`https://127.0.0.1:${portOf(api)}`, { ca: mounted.ca });
  expect((await stream(session, ACME, key)).status).toBe(200);
  const inFlight = stream(session, "/connections", key);
  const received = new Promise<void>((resolve) => session.once("remoteSettings", () => resolve()));
  await Promise.race([received, inFlight]);
  const closed = api.close();
  expect((await inFlight).status).toBe(200);
  await closed;
  expect(session.closed).toBe(true);
});
