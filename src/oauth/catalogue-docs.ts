import { GENERIC_PROVIDERS } from "./generic-providers.ts";
import type { Provider } from "./provider.ts";

const HEAD = `# Providers

<!-- Generated from catalogue/ by \`npm run generate\`. -->

What \`spec.provider\` of an Integration, and \`provider\` of \`POST /integrations\`, may name. An entry says how the provider authenticates, where people
authorize and tokens are issued, and where [the proxy](api.md#any-proxypath) calls; an Integration [overrides it](resources.md#the-provider-of-an-integration). It says
nothing secret, and nobody is asked at run time: the catalogue comes with the version of Keystead.

"Needs in \`config\`" are the members of a connection's \`config\` (\`connection_config\` in the API) that stand in URLs of the provider, such as the
\`acme\` of \`acme.zendesk.com\`; \`GET /providers/{provider}\` says what each is. Those that are named after a mode, such as \`oauth2\`, say nothing but the mode: they are for
everything that is not here.

| provider | mode | documentation | needs in \`config\` |
|---|---|---|---|
`;

/** The page `docs/providers.md`, whole: the named ones, and behind them those for everything else. */
export function describeProviders(named: readonly Provider[]): string {
  const rows = [...named, ...GENERIC_PROVIDERS].map(({ name, displayName, docs, auth, connectionConfig = {} }) => {
    const link = docs === "" ? displayName : `[${displayName}](${docs})`;
    const needed = Object.keys(connectionConfig).map((member) => `\`${member}\``);
    return `| \`${name}\` | \`${auth.mode}\` | ${link} | ${needed.join(", ")} |`.replace("|  |", "| |");
  });
  return `${HEAD}${rows.join("\n")}\n`;
}
