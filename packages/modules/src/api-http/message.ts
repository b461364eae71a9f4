// Requests and answers as capabilities describe them.
//   H5  A secret goes where its parameter says and nowhere else: `auth` becomes the Authorization header; nothing of it is in the body,
//       the address, the result or a fault.
//   H6  The body is one of `body_json`, `data`, `form`, `raw_body`; numbers of an answer's JSON are exact.
import { createHash } from "node:crypto";
import { sha256 } from "@writ/core/ids";
import { urlLengthMax } from "@writ/core/limits";
import { Type } from "@writ/core/schema";
import { isSecretHeader } from "@writ/core/secret-headers";
import { decimal, parseValue, toJson, type Value, type ValueMap } from "@writ/core/value";
import { fault } from "../faults.ts";
import { bomOf, guessEncoding, isUtf8 } from "../filesystem/text.ts";
import iconv from "iconv-lite";
import { httpHeaderCountMax, httpResponseBytesMax } from "../limits.ts";
import { isSafe, type Answer, type Exchange } from "./exchange.ts";

const word = Type.String({ maxLength: 8192 });

export const url = Type.String({ minLength: 8, maxLength: urlLengthMax, "x-host": true });
export const headers = Type.Optional(Type.Record(Type.String({ maxLength: 256 }), word, { default: {} }));
export const textMap = Type.Optional(Type.Record(Type.String({ maxLength: 256 }), word, { default: {} }));
export const cookies = Type.Optional(
  Type.Record(Type.String({ maxLength: 256 }), word, { default: {}, "x-secret": true }),
);
export const formMap = Type.Optional(
  Type.Record(Type.String({ maxLength: 1024 }), Type.String({ maxLength: 1024 * 1024 })),
);
export const bodyJson = Type.Optional(Type.Unknown());
export const rawBody = Type.Optional(Type.String({ maxLength: 10 * 1024 * 1024 }));
export const verifySsl = Type.Optional(Type.Boolean({ default: true }));
export const followRedirects = Type.Optional(Type.Boolean({ default: true }));
export const auth = Type.Optional(
  Type.Array(Type.String({ maxLength: 4096 }), { minItems: 2, maxItems: 2, "x-secret": true }),
);

export function timeoutSeconds(preset: number, maximum: number) {
  return Type.Optional(Type.Integer({ minimum: 1, maximum, default: preset }));
}

export const answerSchema = Type.Object(
  {
    status: Type.Integer({ minimum: 100, maximum: 599 }),
    url: Type.String({ maxLength: urlLengthMax }),
    headers: Type.Record(Type.String({ maxLength: 256 }), Type.String({ maxLength: 65_536 })),
    /** The body as text, or null when it is none. */
    text: Type.Union([Type.String({ maxLength: httpResponseBytesMax }), Type.Null()]),
    /** The body as a value when its type is JSON, else null. */
    json: Type.Unknown(),
    sizeBytes: Type.Integer({ minimum: 0 }),
    sha256: Type.String({ pattern: "^[0-9a-f]{64}$", maxLength: 64 }),
  },
  { additionalProperties: false },
);

export interface RequestParams {
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly params?: Readonly<Record<string, string>>;
  readonly body_json?: unknown;
  readonly data?: Readonly<Record<string, string>>;
  readonly form?: Readonly<Record<string, string>>;
  readonly raw_body?: string;
  readonly timeout?: number;
  readonly follow_redirects?: boolean;
  readonly verify_ssl?: boolean;
  readonly auth?: readonly string[];
  readonly cookies?: Readonly<Record<string, string>>;
}

/** @throws http.tls-required, http.header-refused, http.secret-header, http.body-ambiguous */
export function requestOf(
  method: Exchange["method"],
  params: RequestParams,
  options: { readonly timeoutSeconds: number; readonly follow: boolean; readonly key: string | null },
): Exchange {
  if (params.verify_ssl === false) {
    throw fault("http.tls-required", "Cannot send without verifying the receiver's certificate");
  }
  const body = bodyOf(params, options.key ?? "writ");
  const sent: Record<string, string> = { accept: "*/*", "accept-encoding": "identity", "user-agent": "writ" };
  if (body !== null) sent["content-type"] = body.type;
  for (const [name, value] of Object.entries(params.headers ?? {}))
    sent[name.toLowerCase()] = headerOf(name, value);
  const cookies = Object.entries(params.cookies ?? {});
  if (cookies.length > 0) sent["cookie"] = cookies.map(([name, value]) => cookieOf(name, value)).join("; ");
  if (params.auth !== undefined) {
    // RFC 7617, with UTF-8.
    sent["authorization"] = `Basic ${Buffer.from(params.auth.join(":"), "utf8").toString("base64")}`;
  }
  if (options.key !== null) sent["idempotency-key"] = options.key;
  if (Object.keys(sent).length > httpHeaderCountMax) {
    throw fault("http.header-refused", `Cannot send more than ${httpHeaderCountMax} headers`, {});
  }
  return {
    method,
    url: withQuery(params.url, params.params ?? {}),
    headers: sent,
    body: body?.text ?? null,
    timeoutMs: (params.timeout ?? options.timeoutSeconds) * 1000,
    followRedirects: options.follow && (params.follow_redirects ?? true),
  };
}

function withQuery(text: string, query: Readonly<Record<string, string>>): string {
  const added = new URLSearchParams(query).toString();
  if (added === "") return text;
  const [before = "", hash] = text.split("#", 2);
  return `${before}${before.includes("?") ? "&" : "?"}${added}${hash === undefined ? "" : `#${hash}`}`;
}

/** Headers that say where a message ends, who asks, or that we set. */
const ownHeaders =
  /^(host|content-length|transfer-encoding|connection|keep-alive|upgrade|te|trailer|expect|proxy-.*|idempotency-key|accept-encoding|forwarded|x-forwarded-.*)$/i;

function headerOf(name: string, value: string): string {
  if (isSecretHeader(name)) {
    throw fault(
      "http.secret-header",
      `Cannot send the header \`${name.slice(0, 80)}\`: it carries credentials`,
      {
        header: name.slice(0, 200),
      },
    );
  }
  // RFC 9110, 5.1 and 5.5.
  if (
    !/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name) ||
    !/^[\t\x20-\x7e\x80-\xff]*$/.test(value) ||
    ownHeaders.test(name)
  ) {
    throw fault("http.header-refused", `Cannot send the header \`${name.slice(0, 80)}\``, {
      header: name.slice(0, 200),
    });
  }
  return value;
}

function cookieOf(name: string, value: string): string {
  // RFC 6265, 4.1.1.
  if (
    !/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name) ||
    !/^[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*$/.test(value)
  ) {
    throw fault("http.header-refused", `Cannot send the cookie \`${name.slice(0, 80)}\``, {
      cookie: name.slice(0, 200),
    });
  }
  return `${name}=${value}`;
}

function bodyOf(params: RequestParams, key: string): { readonly text: string; readonly type: string } | null {
  const given = [params.body_json, params.data, params.form, params.raw_body].filter(
    (body) => body !== undefined,
  );
  if (given.length > 1) {
    throw fault("http.body-ambiguous", "Cannot send two bodies in one request", { bodies: given.length });
  }
  if (params.body_json !== undefined) {
    return { text: JSON.stringify(toJson(parseValue(params.body_json))), type: "application/json" };
  }
  if (params.data !== undefined) {
    return { text: new URLSearchParams(params.data).toString(), type: "application/x-www-form-urlencoded" };
  }
  if (params.raw_body !== undefined) return { text: params.raw_body, type: "text/plain; charset=utf-8" };
  return params.form === undefined ? null : multipart(params.form, `writ-${key}`);
}

/** RFC 7578. The boundary comes from the idempotency key, so that a repeated request has the same bytes. */
function multipart(fields: Readonly<Record<string, string>>, boundary: string) {
  const parts = Object.entries(fields).map(([name, value]) => {
    if (value.includes(`--${boundary}`) || /[\r\n"]/.test(name)) {
      throw fault("http.header-refused", `Cannot send the form field \`${name.slice(0, 80)}\``, {
        field: name.slice(0, 200),
      });
    }
    return `--${boundary}\r\ncontent-disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`;
  });
  return { text: `${parts.join("")}--${boundary}--\r\n`, type: `multipart/form-data; boundary=${boundary}` };
}

/** Reads the answer within its limit. @throws http.response-too-large, http.status-4xx, http.status-5xx */
export async function resultOf(answer: Answer, method: Exchange["method"]): Promise<ValueMap> {
  const parts: Uint8Array[] = [];
  let sizeBytes = 0;
  // A request that changes something may have done so whatever is wrong with the answer.
  const outcome = isSafe(method) ? {} : { outcome: "unknown" };
  for await (const chunk of answer.body) {
    sizeBytes += chunk.length;
    if (sizeBytes > httpResponseBytesMax) {
      throw fault(
        "http.response-too-large",
        `Cannot take an answer of more than ${httpResponseBytesMax} bytes`,
        {
          url: answer.url,
          sizeBytesMax: httpResponseBytesMax,
          ...outcome,
        },
      );
    }
    parts.push(chunk);
  }
  const body = Buffer.concat(parts);
  const text = textOf(body, answer.headers["content-type"] ?? "");
  assertStatus(answer, { excerpt: text?.slice(0, 1000) ?? "", outcome });
  return {
    status: answer.status,
    url: answer.url,
    headers: answer.headers,
    text,
    json: jsonOf(text, answer.headers["content-type"] ?? ""),
    sizeBytes,
    sha256: sha256(createHash("sha256").update(body).digest("hex")),
  };
}

export function assertStatus(
  answer: Answer,
  about: { readonly excerpt: string; readonly outcome: { readonly outcome?: string } },
): void {
  if (answer.status < 400) return;
  const facts = { status: answer.status, url: answer.url, answer: about.excerpt };
  const what = `Cannot use the answer of \`${new URL(answer.url).host}\`: it has the status ${answer.status}`;
  // A refusal says that nothing was done, unless it answers the reading that a redirect made of the request.
  const isRefusal = answer.status < 500 && !isSafe(answer.method);
  const known = isRefusal ? facts : { ...facts, ...about.outcome };
  throw fault(answer.status < 500 ? "http.status-4xx" : "http.status-5xx", what, known);
}

function textOf(body: Buffer, type: string): string | null {
  const charset = /charset="?([\w.:-]+)/i.exec(type)?.[1];
  if (charset !== undefined && !isUtf8(charset) && iconv.encodingExists(charset))
    return iconv.decode(body, charset);
  const bom = bomOf(body);
  if (bom !== null && bom !== "utf-8") return iconv.decode(body, bom);
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(body);
    return text.includes("\0") ? null : text;
  } catch {
    return /^text\//i.test(type) && guessEncoding(body) !== "binary"
      ? iconv.decode(body, "windows-1252")
      : null;
  }
}

function jsonOf(text: string | null, type: string): Value {
  if (text === null || text === "" || !/^application\/([\w.+-]+\+)?json\b/i.test(type)) return null;
  try {
    return parseValue(JSON.parse(text, exactNumber));
  } catch {
    return null;
  }
}

/** Numbers that a double does not hold exactly become decimals. */
function exactNumber(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  if (typeof value !== "number" || Number.isSafeInteger(value) || context?.source === undefined) return value;
  return decimal(context.source);
}
