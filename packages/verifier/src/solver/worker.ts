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
}

/** The compiled module under the library: memory, and calls that end in another thread. */
interface Module {
  readonly HEAPU8: Uint8Array;
  _malloc(sizeBytes: number): number;
  _free(address: number): void;
  async_call(start: () => void): Promise<string>;
  _async_Z3_eval_smtlib2_string(context: number, script: number): void;
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
const require = createRequire(import.meta.url);

try {
  // The low-level half alone: the object API of the library is not used and costs start-up time.
  const { init } = require("z3-solver/build/low-level/index.js") as {
    readonly init: (module: unknown) => Promise<{ Z3: LowLevelZ3; em: Module }>;
  };
  const { Z3, em } = await init(require("z3-solver/build/z3-built.js"));
  port.on("message", (request: SolverRequest) => {
    void answer(Z3, em, request);
  });
  port.postMessage({ kind: "ready", version: Z3.get_full_version() } satisfies SolverReply);
} catch (error) {
  port.postMessage({ kind: "failed", reason: String(error) } satisfies SolverReply);
}

async function answer(z3: LowLevelZ3, em: Module, request: SolverRequest): Promise<void> {
  const config = z3.mk_config();
  const context = z3.mk_context(config);
  z3.del_config(config);
  // The library passes the script on the stack of a call that has returned before the other thread reads it: on a busy machine the
  // script arrived damaged. Here it keeps its own memory until the answer is there.
  const bytes = Buffer.from(`${request.script}\0`, "utf8");
  const address = em._malloc(bytes.length);
  em.HEAPU8.set(bytes, address);
  let text: string;
  try {
    text = await em.async_call(() => em._async_Z3_eval_smtlib2_string(context, address));
  } catch (error) {
    text = `(error ${JSON.stringify(String(error))})`;
  } finally {
    em._free(address);
    z3.del_context(context);
  }
  port?.postMessage({ kind: "output", id: request.id, text } satisfies SolverReply);
}
