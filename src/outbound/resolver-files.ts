/** What `/etc/resolv.conf` says about names that are not complete. */
export interface SearchRules {
  /** Domains that a name may lie in. */
  readonly domains: readonly string[];
  /** Dots from which on a name is first taken for a complete one. */
  readonly ndots: number;
}

/** Addresses of a name in a text such as `/etc/hosts`, in its order. */
export function addressesIn(hosts: string, hostname: string): string[] {
  const wanted = hostname.toLowerCase();
  return wordsOf(hosts).flatMap(([address, ...names]) =>
    address !== undefined && names.some((name) => name.toLowerCase() === wanted) ? [address] : [],
  );
}

/** As resolv.conf(5): the last list of domains counts. */
export function searchRules(resolvConf: string): SearchRules {
  let domains: readonly string[] = [];
  let ndots = 1;
  for (const [keyword, ...words] of wordsOf(resolvConf)) {
    if (keyword === "search" || keyword === "domain") domains = words;
    const given = /(?:^| )ndots:(\d{1,2})(?: |$)/.exec(words.join(" "))?.[1];
    if (keyword === "options" && given !== undefined) ndots = Number(given);
  }
  return { domains, ndots };
}

/** Complete names that a name may stand for, in the order in which they are asked for. */
export function candidates(hostname: string, { domains, ndots }: SearchRules): string[] {
  if (hostname.endsWith(".")) return [hostname];
  const searched = domains.filter((domain) => domain !== ".").map((domain) => `${hostname}.${domain}`);
  const dots = hostname.split(".").length - 1;
  return dots >= ndots ? [hostname, ...searched] : [...searched, hostname];
}

/** The words of each line that says something. */
function wordsOf(text: string): string[][] {
  return text
    .split("\n")
    .map((line) => line.replace(/[#;].*/, "").trim())
    .filter((line) => line !== "")
    .map((line) => line.split(/\s+/));
}
