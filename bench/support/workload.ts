// What every run figure measures: a node with the counting capability, and a program of three counted effects, started over HTTP.
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { counterClient, type CounterClient } from "./counter-client.ts";
import { poster } from "./load.ts";
import { start, type Started } from "./processes.ts";

export const stepsPerRun = 3;
/** One `run.started`, an intent and an outcome for each effect, one `run.ended`. */
export const entriesPerRun = 2 * stepsPerRun + 2;

export interface Workload {
  readonly counter: Started;
  readonly outside: CounterClient;
  /** The node's data folder. */
  readonly data: string;
  /** The node that runs now; another one after `restart`. */
  node(): Started;
  /** Milliseconds from the birth of the process to its first line. */
  startMs(): number;
  post(at: string, body: unknown): Promise<Record<string, unknown>>;
  get(at: string): Promise<Record<string, unknown>>;
  /** Compiles, approves and deploys a plan; its program's hash. */
  deploy(plan: Plan): Promise<string>;
  /** As many programs as it takes to have so many runs under way at once: a plan's program runs 128 times at once. */
  deployFor(inFlight: number, action?: "count" | "post"): Promise<readonly string[]>;
  /** Starts a run and answers when that is durable. */
  begin(program: string): Promise<void>;
  /** Starts a run and waits for its end. @throws when it does not finish */
  runOnce(program: string, data?: Readonly<Record<string, unknown>>): Promise<void>;
  /** Starts the node again on the same data, after a kill. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

export interface Plan {
  readonly plan_id: string;
  readonly actions: readonly Readonly<Record<string, unknown>>[];
}

/**
 * Three counted effects, one after the other; `id` makes another program of it. `post` is the one whose outcome can be asked for after
 * a crash; with `failing`, one in ten of its effects is refused the first time and retried after 100 ms.
 */
export function threeEffects(
  id: string,
  action: "count" | "post" = "count",
  options: { readonly failing?: boolean } = {},
): Plan {
  const { failing = false } = options;
  return {
    plan_id: id,
    actions: Array.from({ length: stepsPerRun }, (_, index) => ({
      id: `a${index + 1}`,
      module: "bench",
      action,
      params: { name: `effect ${index + 1} of ${id}`, ...(failing ? { failing } : {}) },
      ...(index === 0 ? {} : { depends_on: [`a${index}`] }),
      ...(failing
        ? { on_error: "retry", retry: { max_attempts: 3, delay_seconds: 0.1, retry_on: ["bench.busy"] } }
        : {}),
    })),
  };
}

/** A counter process, a node on an empty data folder, and a workspace whose profile permits the counting capability. */
export async function openWorkload(
  options: { readonly nodeOptions?: readonly string[]; readonly connections?: number } = {},
): Promise<Workload> {
  const folder = await mkdtemp(path.join(tmpdir(), "writ-bench-"));
  // The default profile permits no capability it does not know; the counter needs a wider one.
  const root = path.join(folder, "workspace");
  await mkdir(root);
  await writeFile(path.join(root, "workspace.json"), JSON.stringify(workspaceFile));
  const data = path.join(folder, "data");
  const counter = await start("counter.ts", []);
  const outside = await counterClient(Number(counter.firstLine));
  const startNode = (): Promise<Started> =>
    start("node.ts", [data, counter.firstLine], options.nodeOptions ?? []);
  let node = await startNode();
  const first = JSON.parse(node.firstLine) as NodeLine;
  const token = first.ownerToken ?? "";
  const connections = options.connections ?? 256;
  let http = poster({ port: first.port, token }, connections);

  const answered = (at: string, answer: { status: number; body: unknown }): Record<string, unknown> => {
    if (answer.status >= 300)
      throw new Error(`${at} answered ${answer.status}: ${JSON.stringify(answer.body)}`);
    return answer.body as Record<string, unknown>;
  };
  const post: Workload["post"] = async (at, body) => answered(at, await http.post(at, JSON.stringify(body)));
  await post("/workspaces", { root });

  const workload: Workload = {
    counter,
    outside,
    data,
    node: () => node,
    startMs: () => node.startMs,
    post,
    get: async (at) => answered(at, await http.get(at)),
    async deploy(plan) {
      const compiled = await post("/programs/compile", {
        kind: "plan",
        text: JSON.stringify({ protocol_version: "2.0", description: "Counted effects", ...plan }),
        workspace: "bench",
      });
      if (compiled["kind"] !== "compiled")
        throw new Error(`The benchmark's plan was not compiled: ${JSON.stringify(compiled)}`);
      const { hash } = compiled["program"] as { readonly hash: string };
      await post(`/programs/${hash}/approve`, { comment: "benchmark" });
      await post(`/programs/${hash}/deploy`, {});
      return hash;
    },
    async deployFor(inFlight, action = "count") {
      const programs: string[] = [];
      while (programs.length * runsAtOnceMax < inFlight)
        programs.push(await workload.deploy(threeEffects(`${action}-${programs.length + 1}`, action)));
      return programs;
    },
    async begin(program) {
      await post(`/programs/${program}/runs`, { data: {} });
    },
    async runOnce(program, body = {}) {
      const answer = await post(`/programs/${program}/runs?wait=true`, { data: body });
      if (answer["status"] !== "finished")
        throw new Error(`A run ended otherwise: ${JSON.stringify(answer)}`);
    },
    async restart() {
      http.close();
      node = await startNode();
      http = poster({ port: (JSON.parse(node.firstLine) as NodeLine).port, token }, connections);
    },
    async close() {
      http.close();
      outside.close();
      await node.stop();
      await counter.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
  return workload;
}

/** What the compiler gives a plan's program. */
const runsAtOnceMax = 128;

interface NodeLine {
  readonly port: number;
  readonly ownerToken: string | null;
}

const workspaceFile = {
  version: 1,
  name: "bench",
  zone: "UTC",
  currencies: [],
  folders: {},
  files: {},
  roles: {},
  tables: {},
  hosts: [],
  profile: "power_user",
};
