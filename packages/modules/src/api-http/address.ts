// Addresses: which a request may reach. The workspace's list is the only door; what stands behind a listed name is checked as well.
//   H1  Only `host:port` with its scheme as listed is reached. A listed name leads to public addresses only, `localhost` to loopback
//       only; a private address is reached only when it is listed as a number. Metadata services are never reached.
//   H2  Spellings of numbers other than the usual one (decimal, octal, hexadecimal, mapped IPv6) are refused, listed or not.
import { BlockList, isIP } from "node:net";
import type { WorkspaceFile, WorkspaceHost } from "@writ/core/workspace";
import { fault } from "../faults.ts";

export interface Endpoint {
  readonly url: URL;
  /** `host:port`, both explicit, lower case. */
  readonly name: string;
  /** Host without brackets. */
  readonly host: string;
  readonly listed: WorkspaceHost;
}

/** The address as a listed endpoint. @throws http.url-invalid, http.address-refused, http.host-not-listed */
export function endpointOf(text: string, workspace: WorkspaceFile): Endpoint {
  const url = parseUrl(text);
  const host = hostOf(url);
  const name = nameOf(url);
  assertUsualSpelling(text, url);
  const listed = workspace.hosts.find(
    (entry) => entry.scheme === schemeOf(url) && nameOfEntry(entry) === name,
  );
  if (
    isIP(host) !== 0 &&
    (isMetadata(host) || embedsIpv4(host) || (listed === undefined && kindOf(host) !== "public"))
  ) {
    throw refused(name, host);
  }
  if (listed === undefined) {
    if (isLocalName(host)) throw refused(name, host);
    throw fault(
      "http.host-not-listed",
      `Cannot reach \`${schemeOf(url)}://${name}\`: the workspace does not list it`,
      {
        host: name,
        scheme: schemeOf(url),
        listed: workspace.hosts.map((entry) => `${entry.scheme}://${entry.host}`),
      },
    );
  }
  return { url, name, host, listed };
}

/** Whether a name or number that was listed may lead to this address. @throws http.address-refused */
export function assertReachable(host: string, address: string): void {
  const kind = kindOf(address);
  const isFine =
    isIP(host) !== 0 ? host === address : isLocalName(host) ? kind === "loopback" : kind === "public";
  if (!isFine || isMetadata(address)) throw refused(host, address);
}

function refused(host: string, address: string) {
  return fault(
    "http.address-refused",
    `Cannot reach \`${host}\`: the address \`${address}\` is ${kindOf(address)}`,
    {
      host,
      address,
      kind: kindOf(address),
    },
  );
}

function parseUrl(text: string): URL {
  // The URL standard drops tabs and line ends and reads `\` as `/`: readers would disagree on what the host is.
  if (/[\s\\]/.test(text) || !/^https?:\/\/[^/?#]/i.test(text) || !URL.canParse(text)) {
    throw fault("http.url-invalid", `Cannot use \`${text.slice(0, 200)}\` as a web address`, {
      url: text.slice(0, 500),
    });
  }
  const url = new URL(text);
  if (url.username !== "" || url.password !== "") {
    throw fault("http.url-invalid", "Cannot use a web address that holds a user name or password", {
      host: url.host,
    });
  }
  url.hash = "";
  return url;
}

function assertUsualSpelling(text: string, url: URL): void {
  const written = /^https?:\/\/(\[[^\]]*\]|[^/?#:]*)/i.exec(text)?.[1]?.toLowerCase() ?? "";
  if (isIP(hostOf(url)) === 0 || written === url.hostname.toLowerCase()) return;
  throw fault(
    "http.address-refused",
    `Cannot reach \`${written}\`: it is an unusual spelling of \`${url.hostname}\``,
    {
      host: written,
      address: url.hostname,
    },
  );
}

function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, "").toLowerCase();
}

function schemeOf(url: URL): string {
  return url.protocol.slice(0, -1);
}

function nameOf(url: URL): string {
  return `${url.hostname.toLowerCase()}:${url.port === "" ? (url.protocol === "https:" ? 443 : 80) : url.port}`;
}

/** Null for an entry that is no address: it lists nothing, and the others still count. */
function nameOfEntry(entry: WorkspaceHost): string | null {
  const text = `${entry.scheme}://${entry.host}`;
  return URL.canParse(text) ? nameOf(new URL(text)) : null;
}

function isLocalName(host: string): boolean {
  return /(^|\.)localhost\.?$/.test(host);
}

type AddressKind = "public" | "loopback" | "private" | "link-local" | "special" | "a name";

/** What an address is for, after IANA's special-purpose registries (RFC 6890). Addresses that embed IPv4 ones count as special. */
function kindOf(address: string): AddressKind {
  const version = isIP(address);
  if (version === 0) return "a name";
  const family = version === 6 ? "ipv6" : "ipv4";
  const isIn = (ranges: readonly (readonly [string, number])[]) => {
    const list = new BlockList();
    for (const [start, prefix] of ranges) if (isIP(start) === version) list.addSubnet(start, prefix, family);
    return list.check(address, family);
  };
  if (isIn(loopback)) return "loopback";
  if (isIn(privateRanges)) return "private";
  if (isIn(linkLocal)) return "link-local";
  if (isIn(special) || (version === 6 && !isIn([["2000::", 3]]))) return "special";
  return "public";
}

const loopback = [
  ["127.0.0.0", 8],
  ["::1", 128],
] as const;
const privateRanges = [
  ["10.0.0.0", 8],
  ["172.16.0.0", 12],
  ["192.168.0.0", 16],
  ["100.64.0.0", 10],
  ["fc00::", 7],
  ["fec0::", 10],
] as const;
const linkLocal = [
  ["169.254.0.0", 16],
  ["fe80::", 10],
] as const;
const special = [
  ["0.0.0.0", 8],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.88.99.0", 24],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 3],
  ["2001::", 23],
  ["2001:db8::", 32],
  ["2002::", 16],
  ["3fff::", 20],
] as const;

/** IPv6 addresses that stand for an IPv4 one (RFC 4291, RFC 6052, RFC 3056): any address could be meant, also one that is refused. */
const embedding = new BlockList();
embedding.addSubnet("::", 96, "ipv6");
embedding.addSubnet("::ffff:0:0", 96, "ipv6");
embedding.addSubnet("64:ff9b::", 96, "ipv6");
embedding.addSubnet("2002::", 16, "ipv6");

function embedsIpv4(address: string): boolean {
  return isIP(address) === 6 && address !== "::1" && embedding.check(address, "ipv6");
}

/** Where clouds hand out credentials. */
function isMetadata(address: string): boolean {
  return ["169.254.169.254", "169.254.170.2", "100.100.100.200", "fd00:ec2::254"].includes(address);
}
