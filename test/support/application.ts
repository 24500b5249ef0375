import { Nango } from "@nangohq/node";
import type { Installation } from "./keystead.ts";
import type { KeysteadProcess } from "./keystead-process.ts";

/** An application as it runs beside an Environment: it has the Secret by `envFrom`, and nothing else. */
export interface Application {
  readonly key: string;
  /** The client of the contract. */
  readonly nango: Nango;
  /** One GET with the environment's key. */
  ask(path: string): Promise<Response>;
  /** Credentials of a connection, or the status that the API refused them with. */
  credentials(connectionId: string, integration: string): Promise<unknown>;
}

/** Reads the key from the Secret of the Environment once, as a pod does when it starts. */
export async function applicationOf(
  installation: Installation,
  process: KeysteadProcess,
  environment: string,
  secretName = `${environment}-keystead`,
): Promise<Application> {
  const host = await installation.apiOf(process);
  const { data = {} } = await installation.objects.get(`secret/${secretName}`);
  const key = Buffer.from(data["KEYSTEAD_SECRET_KEY"] ?? "", "base64").toString();
  const ask = async (path: string): Promise<Response> => {
    const response = await fetch(host + path, { headers: { authorization: `Bearer ${key}` } });
    if (!response.ok)
      installation.remember({ name: `the ${response.status} to ${path}`, text: await response.clone().text() });
    return response;
  };
  return {
    key,
    nango: new Nango({ host, apiKey: key }),
    ask,
    async credentials(connectionId, integration) {
      const response = await ask(`/connections/${connectionId}?provider_config_key=${integration}`);
      if (!response.ok) return response.status;
      const body: unknown = await response.json();
      return typeof body === "object" && body !== null && "credentials" in body ? body.credentials : undefined;
    },
  };
}
