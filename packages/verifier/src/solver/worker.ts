// The thread that holds the one Z3 instance. It answers one script at a time; the other side queues.
// A script runs in a fresh context, because options such as the timeout leak from one script into the next.
import { createRequire } from "node:module";
import { parentPort } from "node:worker_threads";

interface LowLevelZ3 {
  get_full_version(): string;
  global_param_set(name: string, value: string): void;
  mk_config(): number;
  del_config(config: number): void;
  mk_context(config: number): number;
  del_context(context: number): void;
  eval_smtlib2_string(context: number, script: string): Promise<string>;
}

export interface SolverRequest {
  readonly id: number;
  readonly script: string;
}

export type SolverReply =
  | { readonly kind: "ready"; readonly version: string }
  | { readonly kind: "failed"; readonly reason: string }
  | { readonly kind: "output"; readonly id: number; readonly text: string };

const port = parentPort;
if (port === null) throw new Error("the solver runs in a worker thread");
const load = createRequire(import.meta.url);

try {
  // The low-level half alone: the object API of the library is not used and costs start-up time.
  const { init } = load("z3-solver/build/low-level/index.js") as {
    readonly init: (module: unknown) => Promise<{ Z3: LowLevelZ3 }>;
  };
  const { Z3 } = await init(load("z3-solver/build/z3-built.js"));
  port.on("message", (request: SolverRequest) => {
    void answer(Z3, request);
  });
  port.postMessage({ kind: "ready", version: Z3.get_full_version() } satisfies SolverReply);
} catch (error) {
  port.postMessage({ kind: "failed", reason: String(error) } satisfies SolverReply);
}

async function answer(z3: LowLevelZ3, request: SolverRequest): Promise<void> {
  const config = z3.mk_config();
  const context = z3.mk_context(config);
  z3.del_config(config);
  let text: string;
  try {
    text = await z3.eval_smtlib2_string(context, request.script);
  } catch (error) {
    text = `(error ${JSON.stringify(String(error))})`;
  } finally {
    z3.del_context(context);
  }
  port?.postMessage({ kind: "output", id: request.id, text } satisfies SolverReply);
}
