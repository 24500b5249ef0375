import { readFileSync } from "node:fs";
import { request } from "node:https";
import { dirname, join } from "node:path";
import { inject } from "vitest";
import { ensureCertificates } from "../../dev/control-plane/certificates.ts";
import { portsShape } from "../../dev/control-plane/server-arguments.ts";
import { KeysteadError } from "../../src/errors.ts";

/**
 * Puts a value into the etcd of the run's control plane, past the API server and its validation: the only way to have an
 * object that was valid under older CRDs and is not under these. The API server hears of it as of any change.
 */
export async function putIntoEtcd(key: string, value: object): Promise<void> {
  const directory = dirname(inject("controlPlane").kubeconfig);
  const { etcd } = portsShape.parse(JSON.parse(readFileSync(join(directory, "ports.json"), "utf8")));
  // The API server's own certificate, which etcd trusts.
  const { authority, server } = await ensureCertificates(join(directory, "certificates"));
  const body = JSON.stringify({ key: base64(key), value: base64(JSON.stringify(value)) });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const call = request(
    `https://127.0.0.1:${etcd}/v3/kv/put`,
    {
      method: "POST",
      agent: false,
      ca: readFileSync(authority),
      cert: readFileSync(server.certificate),
      key: readFileSync(server.key),
    },
    (answer) => {
      answer.resume();
      if (answer.statusCode === 200) resolve();
      else reject(new KeysteadError("internal_error", `etcd answered ${answer.statusCode}`));
    },
  );
  call.once("error", reject);
  call.end(body);
  await promise;
}

function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}
