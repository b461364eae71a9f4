// The HTTP application: every route of the table in core/api, guarded, validated and answered the same way.
//   S4  A route is served if and only if it stands in the table; the OpenAPI document is that table.
//   S5  A request is checked in this order: place (Host, Origin), key, role, form. The first that fails is the answer.
//   S6  Every failure is a problem document with code and remedy; the message of a defect goes to the log, not to the caller.
import websocket from "@fastify/websocket";
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import {
  requestBytesMax,
  routes,
  type BodyOf,
  type ParamsOf,
  type QueryOf,
  type ResponseOf,
  type RouteDefinition,
  type RouteName,
} from "@writ/core/api";
import { hasCode, type FaultRecord } from "@writ/core/fault";
import type { KeyId } from "@writ/core/ids";
import { exactNumbers } from "@writ/core/exact-json";
import { preparedCheck, schemaProblems, type Schema } from "@writ/core/schema";
import { fault } from "../faults.ts";
import { bodyDepthMax, connectionsMax, keepAliveTimeoutMs, requestTimeoutMs } from "../limits.ts";
import type { Log } from "../log.ts";
import type { WebhookRequest } from "../node/webhooks.ts";
import { callerOf, checkAccess, checkPlace, type Caller, type KnownPerson } from "./guard.ts";
import { openApiDocument } from "./openapi.ts";
import { asFault, problemOf } from "./problem.ts";

export interface RequestOf<Name extends RouteName> {
  readonly params: ParamsOf<Name>;
  readonly query: QueryOf<Name>;
  readonly body: BodyOf<Name>;
  readonly caller: Caller;
  /** Called when the client has gone before its answer. */
  readonly onGone: (listener: () => void) => void;
}

type AnswerName = Exclude<RouteName, "health" | "openapi" | "streamEntries" | "mcp" | "deliverWebhook">;
/** One function per route that is request and answer. */
export type Handlers = {
  readonly [Name in AnswerName]: (request: RequestOf<Name>) => Promise<ResponseOf<Name>>;
};

/** What a stream needs of a WebSocket. */
export interface Socket {
  send(text: string): void;
  close(code: number, reason: string): void;
  readonly bufferedAmount: number;
  on(event: "close" | "error", listener: () => void): void;
}

export interface AppOptions {
  readonly version: string;
  readonly handlers: Handlers;
  readonly findByKey: (key: KeyId) => KnownPerson | undefined;
  readonly stream: (socket: Socket, request: RequestOf<"streamEntries">) => void;
  readonly mcp: (request: FastifyRequest, reply: FastifyReply, caller: Caller) => Promise<void>;
  /** A delivery to a webhook: authenticated by its signature, over the body as it was sent. */
  readonly webhook: (request: WebhookRequest) => Promise<ResponseOf<"deliverWebhook">>;
  readonly log: Log;
  /** Counts a request with this key. @throws request.rate */
  readonly checkRate?: (key: string) => void;
}

declare module "fastify" {
  interface FastifyRequest {
    caller: Caller | null;
  }
  interface FastifyContextConfig {
    operation?: string;
    /** The handler gets the body as the text that was sent. */
    isRaw?: boolean;
  }
}

export async function createApp(options: AppOptions): Promise<FastifyInstance> {
  const app = Fastify({
    bodyLimit: requestBytesMax,
    exposeHeadRoutes: false,
    requestTimeout: requestTimeoutMs,
    keepAliveTimeout: keepAliveTimeoutMs,
    forceCloseConnections: "idle",
    routerOptions: { maxParamLength: 256 },
    return503OnClosing: true,
    // The table's schemas are checked here (S5); the framework's own compilers would only be loaded.
    schemaController: { compilersFactory: { buildValidator: noCompiler, buildSerializer: noCompiler } },
    // What the router itself refuses is answered like everything else.
    frameworkErrors: (error, request, reply) => {
      void sendProblem(reply, asFault(fromFastify(error, request)), request.url);
    },
  });
  app.server.maxConnections = connectionsMax;
  app.decorateRequest("caller", null);
  acceptJson(app);
  answerFaults(app, options.log);
  app.addHook("onRequest", (request, _reply, done) => {
    try {
      checkPlace(request.headers, request.socket.localPort ?? 0);
      done();
    } catch (error) {
      done(error as Error);
    }
  });
  await app.register(websocket, { options: { maxPayload: 4096 } });

  const openApi = openApiDocument(options.version);
  const answers: Record<string, (request: RequestOf<never>) => Promise<unknown>> = {
    ...(options.handlers as unknown as Record<string, (request: RequestOf<never>) => Promise<unknown>>),
    health: async () => ({ status: "ok" }),
    openapi: async () => openApi,
  };
  for (const [name, route] of Object.entries<RouteDefinition>(routes)) {
    if (route.protocol === "websocket") addStream(app, name, route, options);
    else if (route.protocol === "mcp") addMcp(app, name, route, options);
    else if (route.protocol === "webhook") addWebhook(app, route, options);
    else addRoute(app, name, route, answers[name] ?? missing(name), options);
  }
  return app;
}

function noCompiler(): never {
  throw new Error("Invariant broken: S5 the framework checks no schema");
}

function addRoute(
  app: FastifyInstance,
  name: string,
  route: RouteDefinition,
  answer: (request: RequestOf<never>) => Promise<unknown>,
  options: AppOptions,
): void {
  const check = inputCheck(route);
  app.route({
    method: route.method,
    url: fastifyPath(route.path),
    bodyLimit: route.bodyBytesMax ?? requestBytesMax,
    onRequest: guard(name, route, options),
    config: { operation: name },
    handler: async (request, reply) => {
      const input = check(request);
      const result = await answer(requestOf(request, input, reply));
      return reply.code(route.status).header("cache-control", "no-store").send(result);
    },
  });
}

function addStream(app: FastifyInstance, name: string, route: RouteDefinition, options: AppOptions): void {
  const check = inputCheck(route);
  app.route({
    method: "GET",
    url: fastifyPath(route.path),
    onRequest: guard(name, route, options),
    preValidation: (request, _reply, done) => {
      try {
        check(request);
        done();
      } catch (error) {
        done(error as Error);
      }
    },
    handler: async () => {
      throw fault("request.invalid", "Cannot answer: this route is a WebSocket", { upgrade: "websocket" });
    },
    wsHandler: (socket, request) => {
      options.stream(socket, requestOf<"streamEntries">(request, check(request), null));
    },
  });
}

function addMcp(app: FastifyInstance, name: string, route: RouteDefinition, options: AppOptions): void {
  app.route({
    method: route.method,
    url: route.path,
    bodyLimit: route.bodyBytesMax ?? requestBytesMax,
    onRequest: guard(name, route, options),
    handler: async (request, reply) => {
      if (request.caller === null) throw fault("auth.missing", "Cannot serve a request without a key");
      await options.mcp(request, reply, request.caller);
    },
  });
}

function addWebhook(app: FastifyInstance, route: RouteDefinition, options: AppOptions): void {
  const check = inputCheck({
    method: route.method,
    path: route.path,
    summary: "",
    access: route.access,
    status: route.status,
    response: route.response,
    ...(route.params === undefined ? {} : { params: route.params }),
  });
  app.route({
    method: route.method,
    url: fastifyPath(route.path),
    bodyLimit: route.bodyBytesMax ?? requestBytesMax,
    config: { isRaw: true },
    handler: async (request, reply) => {
      const text = typeof request.body === "string" ? request.body : "";
      const { params } = check({ params: request.params, query: {}, body: text });
      const { workspace, name } = params as ParamsOf<"deliverWebhook">;
      const result = await options.webhook({ workspace, name, headers: request.headers, text });
      return reply.code(route.status).header("cache-control", "no-store").send(result);
    },
  });
}

function guard(name: string, route: RouteDefinition, options: AppOptions) {
  return (request: FastifyRequest, _reply: FastifyReply, done: (error?: Error) => void) => {
    try {
      if (route.access !== "public" && route.access !== "signed") {
        request.caller = callerOf(request.headers.authorization, options.findByKey);
        checkAccess(request.caller, route.access, name);
        const { actor } = request.caller;
        if (actor.kind === "person") options.checkRate?.(actor.key);
      }
      done();
    } catch (error) {
      done(error as Error);
    }
  };
}

interface Input {
  readonly params: unknown;
  readonly query: unknown;
  readonly body: unknown;
}

const nobody: Caller = { id: "nobody" as Caller["id"], name: "", roles: [], actor: { kind: "node" } };

function requestOf<Name extends RouteName>(
  request: FastifyRequest,
  input: Input,
  reply: FastifyReply | null,
): RequestOf<Name> {
  const caller = request.caller ?? nobody;
  return {
    params: input.params as ParamsOf<Name>,
    query: input.query as QueryOf<Name>,
    body: input.body as BodyOf<Name>,
    caller,
    onGone: (listener) => void reply?.raw.once("close", listener),
  };
}

/** Checks path, query and body against the route's schemas, compiled once. */
function inputCheck(
  route: RouteDefinition,
): (request: Pick<FastifyRequest, "params" | "query" | "body">) => Input {
  const params = route.params === undefined ? null : partCheck(route.params, "the path");
  const query = route.query === undefined ? null : queryCheck(route.query);
  const body = route.body === undefined ? null : partCheck(route.body, "the body");
  return (request) => ({
    params: params === null ? undefined : params(request.params),
    query: query === null ? undefined : query(request.query as Readonly<Record<string, string>>),
    body: body === null ? undefined : body(request.body ?? {}),
  });
}

function partCheck(schema: Schema, what: string): (data: unknown) => unknown {
  const check = preparedCheck(schema);
  return (data) => {
    if (check(data)) return data;
    const problems = schemaProblems(schema, data);
    const said = problems
      .map(({ at, message }) => `${at === "" ? "the whole" : `\`${at}\``} ${message}`)
      .join("; ");
    throw fault("request.invalid", `Cannot take ${what} of the request: ${said}`, { problems });
  };
}

/** Query values arrive as text; numbers and booleans are read as the schema asks. */
function queryCheck(schema: Schema): (data: Readonly<Record<string, string>>) => unknown {
  const check = partCheck(schema, "the query");
  const { properties = {} } = schema as {
    readonly properties?: Readonly<Record<string, { readonly type?: string }>>;
  };
  return (data) => {
    const read: Record<string, unknown> = {};
    for (const [name, value] of Object.entries(data)) {
      const type = Object.hasOwn(properties, name) ? properties[name]?.type : undefined;
      read[name] =
        type === "integer" && /^\d{1,15}$/.test(value)
          ? Number(value)
          : type === "boolean" && /^(true|false|1|0)$/.test(value)
            ? value === "true" || value === "1"
            : value;
    }
    return check(read);
  };
}

/** JSON and nothing else; an empty body counts as none. A form, which a page of another origin could send, is refused. */
function acceptJson(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  const types = ["application/json", "application/cloudevents+json"];
  app.addContentTypeParser(types, { parseAs: "string" }, (request, text: string, done) => {
    const isRaw = request.routeOptions.config.isRaw === true;
    if (!isRaw && request.headers["content-type"]?.startsWith("application/cloudevents") === true) {
      done(fault("request.body", "Cannot read a CloudEvent here: only webhooks take them"));
      return;
    }
    if (text.trim() === "") {
      done(null, undefined);
      return;
    }
    try {
      assertShallow(text);
      if (isRaw) {
        done(null, text);
        return;
      }
      // Reading through a reviver is slow; only a text that can spell the key needs it.
      // So is looking at how a number was written; only long ones and powers can lose something.
      const body: unknown = /__proto__|\\u/.test(text) ? JSON.parse(text, refuseProto) : JSON.parse(text);
      if (/[\d.]{16}|\de/i.test(text)) JSON.parse(text, exactNumbers);
      done(null, body);
    } catch (error) {
      done(
        fault(
          "request.body",
          `Cannot read the body as JSON: ${error instanceof Error ? error.message : ""}`,
          {},
          error,
        ),
      );
    }
  });
}

/** Values are at most `valueDepthMax` deep; a request wraps them in a few levels of its own. */
function assertShallow(text: string): void {
  let depth = 0;
  let isText = false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (isText) {
      if (code === 0x5c) i++;
      else if (code === 0x22) isText = false;
    } else if (code === 0x22) isText = true;
    else if (code === 0x5b || code === 0x7b) {
      if (++depth > bodyDepthMax) throw new SyntaxError(`it is nested deeper than ${bodyDepthMax}`);
    } else if (code === 0x5d || code === 0x7d) depth--;
  }
}

function refuseProto(key: string, value: unknown): unknown {
  if (key === "__proto__") throw new SyntaxError("the key `__proto__` is not accepted");
  return value;
}

function answerFaults(app: FastifyInstance, log: Log): void {
  app.setNotFoundHandler((request) => {
    throw fault("request.route", `Cannot find \`${request.method} ${request.url.slice(0, 200)}\``);
  });
  app.setErrorHandler(async (error, request, reply) => {
    const record = asFault(fromFastify(error, request));
    if (record.kind === "broken") {
      log.error("request.failed", { code: record.code, url: request.url, error: stackOf(error) });
    }
    return await sendProblem(reply, record, request.url);
  });
}

function sendProblem(reply: FastifyReply, record: FaultRecord, url: string): FastifyReply {
  const problem = problemOf(record, url.slice(0, 1000));
  if (problem.status === 401) void reply.header("www-authenticate", 'Bearer realm="writ"');
  const retryAfterMs = record.facts["retryAfterMs"];
  // RFC 9110, 10.2.3: whole seconds; `retryAfterMs` in the facts is exact.
  if (typeof retryAfterMs === "number")
    void reply.header("retry-after", String(Math.max(1, Math.ceil(retryAfterMs / 1000))));
  return reply
    .code(problem.status)
    .header("content-type", "application/problem+json")
    .header("cache-control", "no-store")
    .send(JSON.stringify(problem));
}

/** Fastify's own errors that a caller can cause, as faults. */
function fromFastify(error: unknown, request: FastifyRequest): unknown {
  if (hasCode(error, "FST_ERR_CTP_BODY_TOO_LARGE") || codeOf(error) === "FST_ERR_CTP_BODY_TOO_LARGE") {
    return fault("request.too-large", "Cannot take a body of this size", {
      sizeBytesMax: request.routeOptions.bodyLimit ?? requestBytesMax,
    });
  }
  if (codeOf(error) === "FST_ERR_CTP_INVALID_MEDIA_TYPE") {
    return fault("request.body", `Cannot read a body of type \`${request.headers["content-type"] ?? ""}\``);
  }
  if (codeOf(error) === "FST_ERR_MAX_PARAM_LENGTH") {
    return fault("request.route", `Cannot find \`${request.method} ${request.url.slice(0, 200)}\``);
  }
  if (codeOf(error).startsWith("FST_ERR_CTP_") || codeOf(error) === "FST_ERR_BAD_URL") {
    return fault("request.body", `Cannot read the request: ${error instanceof Error ? error.message : ""}`);
  }
  return error;
}

function codeOf(error: unknown): string {
  return typeof error === "object" && error !== null && "code" in error ? String(error.code) : "";
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

function fastifyPath(template: string): string {
  return template.replace(/\{(\w+)\}/g, ":$1");
}

function missing(name: string): never {
  throw new Error(`Invariant broken: S4 the route ${name} has no handler`);
}
