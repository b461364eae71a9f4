// A real node on a free port with its own data folder, and a plain HTTP client of it.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import {
  routes,
  type BodyOf,
  type QueryOf,
  type ResponseOf,
  type RouteDefinition,
  type RouteName,
} from "@writ/core/api";
import { schemaProblems } from "@writ/core/schema";
import { startNode, type NodeOptions, type RunningNode } from "../src/node.ts";

export interface Answer<Body> {
  readonly status: number;
  readonly type: string;
  readonly body: Body;
}

export interface TestNode extends AsyncDisposable {
  readonly node: RunningNode;
  readonly data: string;
  readonly url: string;
  readonly token: string;
  readonly printed: string[];
  /** The answer, checked against the route's schema when it is a success. */
  call<Name extends RouteName>(name: Name, request?: CallOptions<Name>): Promise<ResponseOf<Name>>;
  /** Whatever came back. */
  raw(method: string, place: string, options?: RawOptions): Promise<Answer<Record<string, unknown>>>;
  restart(): Promise<void>;
}

export interface CallOptions<Name extends RouteName> {
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: QueryOf<Name>;
  readonly body?: BodyOf<Name>;
  readonly token?: string;
}

export interface RawOptions {
  readonly token?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export class CallFault extends Error {
  readonly status: number;
  readonly problem: Record<string, unknown>;
  constructor(status: number, problem: Record<string, unknown>) {
    super(JSON.stringify(problem));
    this.status = status;
    this.problem = problem;
  }
  get code(): unknown {
    return this.problem["code"];
  }
}

export async function openTestNode(options: Partial<NodeOptions> = {}): Promise<TestNode> {
  const data = options.data ?? mkdtempSync(path.join(tmpdir(), "writ-server-"));
  const printed: string[] = [];
  const all: NodeOptions = {
    data,
    port: 0,
    version: "0.0.0-test",
    print: (line) => printed.push(line),
    ...options,
  };
  let node = await startNode(all);
  const token = node.ownerToken ?? "";
  const test: TestNode = {
    get node() {
      return node;
    },
    data,
    printed,
    token,
    get url() {
      return `http://127.0.0.1:${node.port}`;
    },
    async raw(method, place, { token: given, headers = {}, body } = {}) {
      const sent = given === null ? {} : { authorization: `Bearer ${given ?? token}` };
      const response = await fetch(`http://127.0.0.1:${node.port}${place}`, {
        method,
        headers: {
          ...sent,
          ...(body === undefined ? {} : { "content-type": "application/json" }),
          ...headers,
        },
        ...(body === undefined ? {} : { body }),
      });
      const text = await response.text();
      return {
        status: response.status,
        type: response.headers.get("content-type") ?? "",
        body: text === "" ? {} : (JSON.parse(text) as Record<string, unknown>),
      };
    },
    async call(name, request = {}) {
      const route: RouteDefinition = routes[name];
      const place = route.path.replaceAll(/\{(\w+)\}/g, (_, param: string) => request.params?.[param] ?? "");
      const query = new URLSearchParams(
        Object.entries(request.query ?? {}).map(([key, value]): [string, string] => [key, String(value)]),
      );
      const answer = await test.raw(route.method, query.size === 0 ? place : `${place}?${query.toString()}`, {
        ...(request.token === undefined ? {} : { token: request.token }),
        ...(route.method === "GET" ? {} : { body: JSON.stringify(request.body ?? {}) }),
      });
      if (answer.status !== route.status) throw new CallFault(answer.status, answer.body);
      const problems = schemaProblems(route.response, answer.body);
      if (problems.length > 0) {
        throw new Error(
          `${name} does not answer as its schema says: ${JSON.stringify(problems)} in ${JSON.stringify(answer.body).slice(0, 2000)}`,
        );
      }
      return answer.body as never;
    },
    async restart() {
      await node.close("test");
      node = await startNode({ ...all, port: 0 });
    },
    async [Symbol.asyncDispose]() {
      await node.close("test").catch(() => {});
      if (options.data === undefined) rmSync(data, { recursive: true, force: true });
    },
  };
  return test;
}

export async function addPerson(test: TestNode, id: string, ...roles: string[]): Promise<string> {
  return (await test.call("addPerson", { body: { id, roles } })).token;
}

/** Until the condition gives something, or the patience is over; for what really happens outside this process's control. */
export async function until<T>(look: () => Promise<T | undefined>, what: string): Promise<T> {
  for (let i = 0; i < 400; i++) {
    const found = await look();
    if (found !== undefined) return found;
    await new Promise((resolve) => {
      setTimeout(resolve, 25);
    });
  }
  throw new Error(`waited too long for ${what}`);
}
