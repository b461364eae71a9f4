// The Model Context Protocol: five tools over the same functions as the HTTP routes, so that a model meets the same proof, gate,
// approvals and faults as everybody else.
//   S40  Exactly five tools, whatever is installed: capabilities are data that `find_capabilities` searches.
//   S41  The caller is the person of the bearer key; no tool approves, deploys, settles, or changes people, policy or workspaces.
//   S42  A fault is the tool's result with `isError`, carrying code and remedy, so that a model can correct itself.
import { toNodeHandler } from "@modelcontextprotocol/node";
import {
  createMcpHandler,
  fromJsonSchema,
  McpServer,
  type CallToolResult,
  type ServerContext,
} from "@modelcontextprotocol/server";
import type { FastifyReply, FastifyRequest } from "fastify";
import { planBytesMax } from "@writ/core/limits";
import { schemaProblems, Type, type Static, type TSchema } from "@writ/core/schema";
import type { Json } from "@writ/core/value";
import { fault } from "./faults.ts";
import type { Handlers, RequestOf } from "./http/app.ts";
import type { Caller } from "./http/guard.ts";
import { asFault, problemOf } from "./http/problem.ts";
import type { RouteName } from "@writ/core/api";
import type { Log } from "./log.ts";

const closed = { additionalProperties: false } as const;
const runId = Type.String({ maxLength: 42, description: "A run's id, such as r_01j…" });
const workspace = Type.Optional(
  Type.String({ maxLength: 64, description: "Name of a workspace; may be left out when there is only one" }),
);
const plan = Type.Unsafe<Json>({ type: "object", description: "The plan: a JSON document in IML 2.0" });

const tools = {
  find_capabilities: {
    title: "Find capabilities",
    description:
      "Search what this node can do. Returns ids with parameters, effect and risk. Name an id to get its whole contract.",
    input: Type.Object(
      {
        search: Type.Optional(
          Type.String({ maxLength: 512, description: "Words, such as `move file` or `sum column`" }),
        ),
        id: Type.Optional(
          Type.String({ maxLength: 160, description: "module.action, with or without @version" }),
        ),
        limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 50 })),
      },
      closed,
    ),
    readOnly: true,
  },
  check_plan: {
    title: "Check a plan",
    description:
      "Compile and prove a plan without keeping or running it: its problems with places and remedies, or its proof, steps and the approvals it will wait for.",
    input: Type.Object({ plan, workspace }, closed),
    readOnly: true,
  },
  submit_plan: {
    title: "Submit a plan",
    description:
      "Compile, prove, sign and run a plan. Returns the run's id and the approvals it waits for; a person decides on those. With `wait`, answers when the run has ended or waits for a person.",
    input: Type.Object({ plan, workspace, wait: Type.Optional(Type.Boolean()) }, closed),
    readOnly: false,
  },
  get_run: {
    title: "Get a run",
    description: "State of a run: steps, results, faults with remedies, and the approval it waits for.",
    input: Type.Object({ run: runId }, closed),
    readOnly: true,
  },
  list_runs: {
    title: "List runs",
    description: "Runs, newest first, optionally of one status.",
    input: Type.Object(
      {
        status: Type.Optional(
          Type.Enum([
            "running",
            "waiting",
            "held",
            "cancelling",
            "undoing",
            "finished",
            "failed",
            "cancelled",
            "rolled_back",
          ]),
        ),
        limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100 })),
      },
      closed,
    ),
    readOnly: true,
  },
} as const;

type ToolName = keyof typeof tools;
type Tools = {
  readonly [Name in ToolName]: (
    input: Static<(typeof tools)[Name]["input"]>,
    caller: Caller,
  ) => Promise<Json>;
};

export interface McpOptions {
  readonly version: string;
  readonly handlers: Handlers;
  /** Compiles and proves without keeping anything. */
  readonly checkPlan: (text: string, workspace: string | undefined) => Promise<Json>;
  readonly log: Log;
}

export interface McpEndpoint {
  handle(request: FastifyRequest, reply: FastifyReply, caller: Caller): Promise<void>;
  close(): Promise<void>;
}

export function createMcpEndpoint(options: McpOptions): McpEndpoint {
  const perform = toolsOf(options);
  const handler = createMcpHandler(
    (context) => serverOf(options, perform, callerOf(context.authInfo?.extra)),
    {
      maxRequestBodySize: planBytesMax,
      onerror: (error) => options.log.warn("mcp.refused", { error: error.message }),
    },
  );
  const serve = toNodeHandler(handler, {
    maxRequestBodySize: planBytesMax,
    onerror: (error) => options.log.error("mcp.failed", { error: error.stack ?? error.message }),
  });
  return {
    async handle(request, reply, caller) {
      reply.hijack();
      const auth = { token: "", clientId: caller.id, scopes: [...caller.roles], extra: { caller } };
      await serve(
        Object.assign(request.raw, { auth }) as Parameters<typeof serve>[0],
        reply.raw,
        request.body,
      );
    },
    close: () => handler.close(),
  };
}

function serverOf(options: McpOptions, perform: Tools, caller: Caller): McpServer {
  const server = new McpServer(
    { name: "writ", title: "Writ", version: options.version },
    {
      instructions:
        "Writ runs plans that are proven first. Find capabilities, write a plan in IML 2.0, check it, submit it, then read the run. A person decides on approvals; you cannot.",
    },
  );
  const add = <Name extends ToolName>(name: Name) => {
    const { title, description, input, readOnly } = tools[name];
    const inputSchema = fromJsonSchema<unknown>(
      JSON.parse(JSON.stringify(input)) as Parameters<typeof fromJsonSchema>[0],
      validator(input),
    );
    server.registerTool(
      name,
      {
        title,
        description,
        inputSchema,
        annotations: { readOnlyHint: readOnly, destructiveHint: !readOnly, openWorldHint: false },
      },
      (args: unknown, _context: ServerContext) =>
        answer(() => perform[name](args as never, caller), options.log, name),
    );
  };
  for (const name of Object.keys(tools) as ToolName[]) add(name);
  return server;
}

async function answer(perform: () => Promise<Json>, log: Log, tool: string): Promise<CallToolResult> {
  try {
    const result = await perform();
    return { content: [{ type: "text", text: JSON.stringify(result) }], structuredContent: asObject(result) };
  } catch (error) {
    const record = asFault(error);
    if (record.kind === "broken")
      log.error("mcp.tool-failed", { tool, code: record.code, error: String(error) });
    const problem = problemOf(record);
    return {
      isError: true,
      content: [{ type: "text", text: JSON.stringify(problem) }],
      structuredContent: asObject(problem as unknown as Json),
    };
  }
}

function toolsOf({ handlers, checkPlan }: McpOptions): Tools {
  return {
    async find_capabilities({ search, id, limit }, caller) {
      if (id !== undefined)
        return asJson(await handlers.getCapability(requestOf<"getCapability">(caller, { params: { id } })));
      const query = search === undefined ? {} : { search };
      const found = await handlers.listCapabilities(requestOf<"listCapabilities">(caller, { query }));
      const shown = found.capabilities.slice(0, limit ?? 10);
      const details = await Promise.all(
        shown.map(async (capability) => {
          const contract = await handlers.getCapability(
            requestOf<"getCapability">(caller, { params: { id: capability.id } }),
          );
          return {
            id: contract.id,
            summary: contract.summary.en,
            effect: contract.effect,
            risk: contract.risk,
            params: contract.params,
          };
        }),
      );
      return asJson({ found: found.capabilities.length, capabilities: details });
    },
    check_plan: ({ plan: document, workspace: name }) => checkPlan(JSON.stringify(document), name),
    async submit_plan({ plan: document, workspace: name, wait }, caller) {
      const body = {
        plan: document,
        ...(name === undefined ? {} : { workspace: name }),
        ...(wait === undefined ? {} : { wait }),
      };
      return asJson(await handlers.runPlan(requestOf<"runPlan">(caller, { body })));
    },
    async get_run({ run }, caller) {
      const detail = await handlers.getRun(requestOf<"getRun">(caller, { params: { run } }));
      const { entries: _entries, ...shown } = detail;
      return asJson(shown);
    },
    async list_runs({ status, limit }, caller) {
      const query = { limit: limit ?? 20, ...(status === undefined ? {} : { status }) };
      return asJson(await handlers.listRuns(requestOf<"listRuns">(caller, { query })));
    },
  };
}

function requestOf<Name extends RouteName>(
  caller: Caller,
  parts: Partial<Pick<RequestOf<Name>, "params" | "query" | "body">>,
): RequestOf<Name> {
  return {
    params: undefined,
    query: undefined,
    body: undefined,
    ...parts,
    caller,
    onGone: () => {},
  } as RequestOf<Name>;
}

/** Tool arguments are checked by the library all contracts use; the message names every wrong field. */
function validator(schema: TSchema) {
  return {
    getValidator:
      <T>() =>
      (input: unknown) => {
        const problems = schemaProblems(schema, input);
        return problems.length === 0
          ? { valid: true as const, data: input as T, errorMessage: undefined }
          : {
              valid: false as const,
              data: undefined,
              errorMessage: problems
                .map(({ at, message }) => `${at === "" ? "the whole" : at} ${message}`)
                .join("; "),
            };
      },
  };
}

function callerOf(extra: Readonly<Record<string, unknown>> | undefined): Caller {
  const caller = extra?.["caller"];
  if (caller === undefined) throw fault("auth.missing", "Cannot serve a request without a key");
  return caller as Caller;
}

function asJson(value: unknown): Json {
  return value as Json;
}

function asObject(value: Json): Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : { value };
}
