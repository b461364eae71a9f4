// One exchange: a request and its answer over a connection whose address was checked by the very lookup that made it.
//   H3  The socket connects to an address that `lookup` has just checked: a name that answers differently the second time (DNS
//       rebinding) gains nothing. Every redirect is checked as the first address was, and never leads to a host of higher risk: nobody
//       approved that one.
//   H4  Nothing was sent → `http.connection`, which may be retried. Sent, and no full answer → the same fault with `outcome: "unknown"`:
//       only a receiver that honours the idempotency key makes it safe to send again.
import { lookup as systemLookup } from "node:dns";
import type { LookupFunction } from "node:net";
import type { Dispatcher } from "undici";
import type { AbortSignalLike } from "@writ/core/capability";
import { faultRecord } from "@writ/core/fault";
import type { WorkspaceFile, WorkspaceHost } from "@writ/core/workspace";
import { fault } from "../faults.ts";
import { httpRedirectsMax } from "../limits.ts";
import { assertReachable, endpointOf, type Endpoint } from "./address.ts";

export interface Address {
  readonly address: string;
  readonly family: 4 | 6;
}

/** All addresses of a name. The system's resolver, unless a test plays a lying one. */
export type Resolver = (host: string) => Promise<readonly Address[]>;

export const systemResolver: Resolver = (host) =>
  new Promise((resolve, reject) => {
    systemLookup(host, { all: true, verbatim: true }, (error, addresses) => {
      if (error !== null) return reject(error);
      resolve(addresses.map(({ address, family }) => ({ address, family: family === 6 ? 6 : 4 })));
    });
  });

export interface Exchange {
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
  readonly timeoutMs: number;
  readonly followRedirects: boolean;
}

export interface ExchangeOptions {
  readonly workspace: WorkspaceFile;
  readonly signal: AbortSignalLike;
  readonly resolver: Resolver;
}

export interface Answer {
  /** Of the request that was answered: after a redirect it may be another than the first. */
  readonly method: Exchange["method"];
  readonly status: number;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: AsyncIterable<Uint8Array>;
}

/** Sends, follows redirects where asked, and hands the last answer to `use` while the connection is open. */
export async function exchange<T>(
  sent: Exchange,
  options: ExchangeOptions,
  use: (answer: Answer) => Promise<T>,
): Promise<T> {
  // Loaded with the first request: a node that sends nothing needs no client.
  const { Agent, request } = await import("undici");
  const timeout = AbortSignal.timeout(sent.timeoutMs);
  const cancelled = new AbortController();
  const onAbort = () => cancelled.abort();
  if (options.signal.aborted) onAbort();
  options.signal.addEventListener("abort", onAbort);
  const signal = AbortSignal.any([timeout, cancelled.signal]);
  const progress = { hasSent: false };
  try {
    let next = sent;
    for (let redirects = 0; ; redirects++) {
      const endpoint = endpointOf(next.url, options.workspace);
      const agent = new Agent({
        connect: { lookup: checkedLookup(endpoint.host, options.resolver), timeout: sent.timeoutMs },
        pipelining: 0,
        headersTimeout: sent.timeoutMs,
        bodyTimeout: sent.timeoutMs,
      });
      agent.on("connect", () => {
        progress.hasSent = true;
      });
      try {
        checkNumber(endpoint);
        const response = await request(endpoint.url, {
          dispatcher: agent,
          method: next.method,
          headers: next.headers,
          body: next.body,
          signal,
        });
        const redirected = redirectOf(response, {
          method: sent.method,
          next,
          endpoint,
          redirects,
          workspace: options.workspace,
        });
        if (redirected === null) return await use(answerOf(response, next.method, endpoint));
        response.body.on("error", () => undefined);
        response.body.destroy();
        next = redirected;
      } finally {
        await agent.destroy();
      }
    }
  } catch (error) {
    throw exchangeFault(error, {
      url: sent.url,
      timeoutMs: sent.timeoutMs,
      isTimeout: timeout.aborted,
      ...progress,
    });
  } finally {
    options.signal.removeEventListener("abort", onAbort);
  }
}

/** The addresses of an endpoint, each checked, sorted. @throws http.address-refused, http.connection */
export async function addressesOf(endpoint: Endpoint, resolver: Resolver): Promise<readonly string[]> {
  if (checkNumber(endpoint)) return [endpoint.host];
  let found: readonly Address[];
  try {
    found = await resolver(endpoint.host);
  } catch (error) {
    throw fault(
      "http.connection",
      `Cannot find the address of \`${endpoint.host}\``,
      { host: endpoint.name },
      error,
    );
  }
  for (const { address } of found) assertReachable(endpoint.host, address);
  return found.map(({ address }) => address).toSorted();
}

/** A number is connected to without any lookup, so it is checked here. True when it is one. */
function checkNumber({ host }: Endpoint): boolean {
  if (!/^[\d.]+$|:/.test(host)) return false;
  assertReachable(host, host);
  return true;
}

function checkedLookup(host: string, resolver: Resolver): LookupFunction {
  return (_hostname, options, callback) => {
    resolver(host).then(
      (found) => {
        try {
          for (const { address } of found) assertReachable(host, address);
          const [first] = found;
          if (first === undefined)
            throw Object.assign(new Error(`no address for ${host}`), { code: "ENOTFOUND" });
          if (options.all === true) callback(null, [...found]);
          else callback(null, first.address, first.family);
        } catch (error) {
          callback(error instanceof Error ? error : new Error(String(error)), "", 4);
        }
      },
      (error: unknown) => callback(error instanceof Error ? error : new Error(String(error)), "", 4),
    );
  };
}

function answerOf(response: Dispatcher.ResponseData, method: Exchange["method"], endpoint: Endpoint): Answer {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(response.headers)) {
    if (value !== undefined) headers[name.toLowerCase()] = Array.isArray(value) ? value.join(", ") : value;
  }
  return { method, status: response.statusCode, url: endpoint.url.href, headers, body: response.body };
}

/** The next request, or null when this answer is the last. @throws http.redirect-refused */
function redirectOf(
  response: Dispatcher.ResponseData,
  at: {
    /** Of the first request: what it may have changed stays changed, whatever a redirect made of it since. */
    readonly method: Exchange["method"];
    readonly next: Exchange;
    readonly endpoint: Endpoint;
    readonly redirects: number;
    readonly workspace: WorkspaceFile;
  },
): Exchange | null {
  const { next, endpoint } = at;
  const { location } = response.headers;
  const isRedirect = [301, 302, 303, 307, 308].includes(response.statusCode);
  if (!isRedirect || typeof location !== "string" || !next.followRedirects) return null;
  const refuse = (why: string) =>
    fault("http.redirect-refused", `Cannot follow the redirect of \`${endpoint.name}\`: ${why}`, {
      from: endpoint.url.href,
      to: location.slice(0, 500),
      // A request that changes something has reached its receiver.
      ...(isSafe(at.method) ? {} : { outcome: "unknown" }),
    });
  if (at.redirects >= httpRedirectsMax) throw refuse(`more than ${httpRedirectsMax} redirects`);
  if (!URL.canParse(location, endpoint.url.href)) throw refuse("its target is no address");
  const target = new URL(location, endpoint.url.href);
  if (endpoint.url.protocol === "https:" && target.protocol !== "https:")
    throw refuse("it leads from https to http");
  const isSameOrigin = target.origin === endpoint.url.origin;
  if (!isSameOrigin && !isSafe(at.method))
    throw refuse("a request that changes something stays with its receiver");
  if (!isSameOrigin && isRiskier(endpointOf(target.href, at.workspace).listed, endpoint.listed))
    throw refuse("it leads to a host of higher risk");
  // Which of the author's own headers are credentials cannot be known (`x-api-key`), so none of them goes elsewhere.
  const headers = isSameOrigin
    ? next.headers
    : Object.fromEntries(
        Object.entries(next.headers).filter(([name]) => /^(accept|accept-encoding|user-agent)$/i.test(name)),
      );
  // RFC 9110, 15.4: 303, and by old habit 301 and 302 after POST, go on with GET.
  const becomesGet =
    response.statusCode === 303 || (next.method === "POST" && [301, 302].includes(response.statusCode));
  return becomesGet && next.method !== "HEAD"
    ? { ...next, url: target.href, headers, method: "GET", body: null }
    : { ...next, url: target.href, headers };
}

const risks: readonly WorkspaceHost["risk"][] = ["low", "medium", "high", "critical"];

function isRiskier(target: WorkspaceHost, source: WorkspaceHost): boolean {
  return risks.indexOf(target.risk) > risks.indexOf(source.risk);
}

export function isSafe(method: Exchange["method"]): boolean {
  return method === "GET" || method === "HEAD";
}

const certificateCodes =
  /^(CERT_|ERR_TLS_CERT|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_(GET|VERIFY)|HOSTNAME_MISMATCH|ERR_SSL)/;

function exchangeFault(
  error: unknown,
  at: {
    readonly url: string;
    readonly timeoutMs: number;
    readonly isTimeout: boolean;
    readonly hasSent: boolean;
  },
): unknown {
  for (const each of causesOf(error)) if (faultRecord(each) !== undefined) return each;
  const host = URL.canParse(at.url) ? new URL(at.url).host : at.url;
  const outcome = at.hasSent ? { outcome: "unknown" } : {};
  const codes = causesOf(error).map(codeOf);
  if (at.isTimeout || codes.some((code) => /TIMEOUT|ETIMEDOUT/.test(code))) {
    const facts = { host, timeoutMs: at.timeoutMs, ...outcome };
    return fault(
      "http.timeout",
      `Cannot wait longer for \`${host}\`: ${at.timeoutMs} ms have passed`,
      facts,
      error,
    );
  }
  if (codes.some((code) => certificateCodes.test(code))) {
    return fault(
      "http.certificate",
      `Cannot trust \`${host}\`: its certificate is not accepted`,
      { host, codes },
      error,
    );
  }
  const why = codes.find((code) => code !== "") ?? "the connection broke";
  return fault(
    "http.connection",
    `Cannot reach \`${host}\`: ${why}`,
    { host, reason: why, ...outcome },
    error,
  );
}

function causesOf(error: unknown): readonly unknown[] {
  const found: unknown[] = [];
  for (let each: unknown = error; each !== undefined && each !== null && found.length < 5;) {
    found.push(each);
    each = typeof each === "object" && "cause" in each ? each.cause : undefined;
  }
  return found;
}

function codeOf(error: unknown): string {
  return typeof error === "object" && error !== null && "code" in error && typeof error.code === "string"
    ? error.code
    : "";
}
