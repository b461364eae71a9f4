// Client of a node's API. Its types come from the route table in core, so that a route that changes is a compile error here.
//   D1  Every answer is checked against the route's schema; what does not fit is a fault, never a guess.
//   D2  A problem document becomes the fault the node threw: same code, kind, message, remedy and facts.
//   D3  Nothing is retried: only the caller knows whether asking twice is harmless.
//   D7  An id or name that has the wrong form is answered here, with the form it should have; it is never sent.
import {
  Problem,
  routes,
  type BodyOf,
  type ParamsOf,
  type QueryOf,
  type ResponseOf,
  type RouteDefinition,
  type RouteName,
} from "@writ/core/api";
import { Fault } from "@writ/core/fault";
import { schemaProblems } from "@writ/core/schema";
import { fault } from "./faults.ts";

export interface ClientOptions {
  /** Such as `http://127.0.0.1:3000`. */
  readonly url: string;
  /** Absent: only public routes answer. */
  readonly token?: string | undefined;
}

/** Routes that are a request and an answer; the others have functions of their own (`entries`, `mcp`). */
export type CallName = Exclude<RouteName, "streamEntries" | "mcp">;

type Part<Name extends string, Type> = [Type] extends [undefined]
  ? unknown
  : { readonly [Key in Name]: Type };
type OptionalPart<Name extends string, Type> = [Type] extends [undefined]
  ? unknown
  : { readonly [Key in Name]?: Type };

/** What a call of the route needs: `params` and `body` as its schemas say, `query` where it has one. */
export type RequestOf<Name extends CallName> = Part<"params", ParamsOf<Name>> &
  Part<"body", BodyOf<Name>> &
  OptionalPart<"query", QueryOf<Name>> & { readonly signal?: AbortSignal };

export interface Client {
  readonly url: string;
  readonly token: string | undefined;
  /** @throws the fault the node answered with, client.form, client.unreachable, client.cut-off, client.unexpected-answer */
  call<Name extends CallName>(name: Name, request: RequestOf<Name>): Promise<ResponseOf<Name>>;
}

interface AnyRequest {
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly body?: unknown;
  readonly signal?: AbortSignal;
}

/** @throws client.address */
export function openClient(options: ClientOptions): Client {
  const url = addressOf(options.url);
  const { token } = options;
  return {
    url,
    token,
    async call<Name extends CallName>(name: Name, request: RequestOf<Name>): Promise<ResponseOf<Name>> {
      const route: RouteDefinition = routes[name];
      assertForms(route, request as AnyRequest);
      const answer = await send({ url, token }, route, request as AnyRequest);
      if (schemaProblems(route.response, answer).length > 0) {
        const problems = schemaProblems(route.response, answer);
        throw fault(
          "client.unexpected-answer",
          `Cannot read the node's answer to ${route.method} ${route.path}: ${problems
            .map((problem) => `\`${problem.at}\` ${problem.message}`)
            .slice(0, 3)
            .join("; ")}`,
          { route: name, problems },
        );
      }
      return answer as ResponseOf<Name>;
    },
  };
}

/** The node would refuse it too, in words of its schemas. @throws client.form */
export function assertForms(route: RouteDefinition, request: AnyRequest): void {
  for (const part of ["params", "query", "body"] as const) {
    const [schema, data] = [route[part], request[part]];
    if (schema === undefined || data === undefined) continue;
    for (const { at, message } of schemaProblems(schema, data)) {
      const [, name = "", index] = at.split("/");
      const member: unknown = Reflect.get(Object(data), name);
      const given: unknown = Array.isArray(member) ? member[Number(index)] : member;
      if (typeof given !== "string" || !message.includes("pattern")) continue;
      const text = given.slice(0, 100);
      throw fault("client.form", `Cannot take \`${text}\`: expected ${formOf(route, name)}`, {
        [name]: text,
      });
    }
  }
}

function formOf(route: RouteDefinition, name: string): string {
  switch (name) {
    case "hash":
    case "program":
      return "a program's hash or the first 8 or more of its 64 hexadecimal digits, such as `3f9c1a20`";
    case "run":
    case "before":
      return "a run's id, such as `r_6d1c0d54c8279ab8dd6a`";
    case "approval":
      return "an approval's id, such as `a_6d1c0d54c8279ab8dd6a`";
    case "stop":
      return "an emergency stop's id, such as `s_6d1c0d54c8279ab8dd6a` (`writ emergency list` shows them)";
    case "countdown":
      return "a countdown's id (`writ countdown list` shows them)";
    case "step":
      return "a step's id, such as `move` (`writ run show RUN` lists them)";
    default:
      return route.path.startsWith("/capabilities")
        ? "a capability, such as `filesystem.move_file` or `filesystem.move_file@1.0.0`"
        : "a name of small letters, digits, `-` and `_`, such as `anna`";
  }
}

/** The route's path with its parameters filled in and the query appended. */
export function pathOf(route: RouteDefinition, request: AnyRequest): string {
  const path = route.path.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
    encodeURIComponent(request.params?.[name] ?? ""),
  );
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(request.query ?? {})) {
    if (value !== undefined) query.set(name, String(value));
  }
  return query.size === 0 ? path : `${path}?${query.toString()}`;
}

async function send(
  node: { readonly url: string; readonly token: string | undefined },
  route: RouteDefinition,
  request: AnyRequest,
): Promise<unknown> {
  const headers = new Headers({ accept: "application/json, application/problem+json" });
  if (node.token !== undefined) headers.set("authorization", `Bearer ${node.token}`);
  if (route.body !== undefined) headers.set("content-type", "application/json");
  const init: RequestInit = { method: route.method, headers, redirect: "error" };
  if (route.body !== undefined) init.body = JSON.stringify(request.body ?? {});
  if (request.signal !== undefined) init.signal = request.signal;
  let text: string;
  let response: Response;
  try {
    response = await fetch(node.url + pathOf(route, request), init);
    text = await response.text();
  } catch (error) {
    if (request.signal?.aborted === true) throw error;
    throw unreachable(node.url, error, route.method === "GET" ? undefined : `${route.method} ${route.path}`);
  }
  const answer = parseJson(text);
  if (response.ok && answer !== undefined) return answer;
  throw problemFault(answer) ?? unexpected(route, response.status, text);
}

/** The fault of a problem document, or undefined when it is none. */
export function problemFault(answer: unknown): Fault | undefined {
  if (schemaProblems(Problem, answer).length > 0) return undefined;
  const { code, kind, detail, remedy, facts } = answer as Problem;
  return new Fault({ code, kind, message: detail, remedy, facts });
}

/** Nothing was sent to a node that these say of. */
const notSent = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "UND_ERR_CONNECT_TIMEOUT",
]);

/** Why no answer came. `change` is a request that would change something: when it was sent, nobody here knows whether it did. */
export function unreachable(url: string, error: unknown, change?: string): Fault {
  const { cause } = error as { readonly cause?: { readonly code?: string; readonly message?: string } };
  const why = cause?.code ?? cause?.message ?? (error instanceof Error ? error.message : String(error));
  if (change !== undefined && cause?.code !== undefined && !notSent.has(cause.code)) {
    const message = `Cannot tell whether the node at \`${url}\` did ${change}: the connection broke before it answered (${why})`;
    return fault("client.cut-off", message, { url, why, request: change }, error);
  }
  return fault("client.unreachable", `Cannot reach a node at \`${url}\` (${why})`, { url, why }, error);
}

function unexpected(route: RouteDefinition, status: number, text: string): Fault {
  return fault(
    "client.unexpected-answer",
    `Cannot read the answer to ${route.method} ${route.path}: status ${status} and no problem document`,
    { status, text: text.slice(0, 500) },
  );
}

/** Undefined when the text is no JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function addressOf(text: string): string {
  const url = URL.parse(text);
  if (
    url === null ||
    (url.protocol !== "http:" && url.protocol !== "https:") ||
    url.search !== "" ||
    url.hash !== ""
  ) {
    throw fault("client.address", `Cannot use \`${text}\` as the address of a node`, { text });
  }
  return url.origin + url.pathname.replace(/\/+$/, "");
}
