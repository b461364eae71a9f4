// Z3 (WebAssembly) behind the solver port: one instance in one worker thread, one query at a time.
//   Z1  The thread starts with the first query and stays warm; `close` ends it.
//   Z2  Every query carries a timeout of its own; one that runs past it by `graceMs` loses its thread, and the next query gets a new one.
//   Z3  Whatever is not plainly `sat` or `unsat` is `unknown` with the reason: also a script that was not read to its end, or one with
//       a complaint anywhere.
import { setTimeout as startTimer, clearTimeout as stopTimer } from "node:timers";
import { Worker } from "node:worker_threads";
import type { Solver, SolverAnswer } from "@writ/core/ports";
import { fault } from "./faults.ts";
import { solverGraceMs, solverMemoryMb, solverStartMs } from "./limits.ts";
import { parseSexprs, renderSexpr, type Sexpr } from "./solver/sexpr.ts";
import type { SolverReply } from "./solver/worker.ts";

interface Instance {
  readonly worker: Worker;
  readonly version: string;
}

/**
 * A solver that reads SMT-LIB scripts with exactly one `(check-sat)`. What the script asks after it (`get-value`, `get-unsat-core`)
 * is added here. Costs about 130 MB while warm. @throws verifier.solver-unavailable when the thread cannot start
 */
export function createZ3Solver(): Solver {
  let starting: Promise<Instance> | null = null;
  let queue: Promise<unknown> = Promise.resolve();
  let isClosed = false;
  let sequence = 0;

  const instance = (): Promise<Instance> => {
    starting ??= startWorker().catch((error: unknown) => {
      starting = null;
      throw error;
    });
    return starting;
  };
  const drop = async (): Promise<void> => {
    const old = starting;
    starting = null;
    if (old !== null) await (await old.catch(() => null))?.worker.terminate();
  };
  const ask = async (script: string, timeoutMs: number): Promise<SolverAnswer> => {
    if (isClosed) throw fault("verifier.solver-unavailable", "Cannot ask the solver: it was closed");
    const { worker } = await instance();
    const output = await exchange(
      worker,
      ++sequence,
      wholeScript(script, timeoutMs),
      timeoutMs + solverGraceMs,
    );
    if (output.kind === "lost") {
      await drop();
      return { result: "unknown", reason: output.reason };
    }
    return readAnswer(output.text);
  };

  return {
    version: async () => `z3 ${(await instance()).version.replace(/^Z3 /, "")}`,
    check(script, timeoutMs) {
      const answer = queue.then(() => ask(script, timeoutMs));
      queue = answer.catch(() => undefined);
      return answer;
    },
    async close() {
      isClosed = true;
      await queue;
      await drop();
    },
  };
}

/** The script as it is really run: options first, the questions after. Exported for those who re-run a certificate by hand. */
export function wholeScript(script: string, timeoutMs: number): string {
  const names = declaredConstants(script);
  const options = [
    "(set-option :produce-unsat-cores true)",
    "(set-option :produce-models true)",
    `(set-option :timeout ${Math.max(1, Math.floor(timeoutMs))})`,
  ];
  const ends = ["(check-sat)", "(get-info :reason-unknown)", "(get-unsat-core)"];
  if (names.length > 0) ends.push(`(get-value (${names.join(" ")}))`);
  ends.push(`(echo "${endMark}")`);
  return [...options, script.replaceAll("(check-sat)", ""), ...ends].join("\n");
}

const endMark = "read-to-the-end";
/** Complaints that every answer brings: there is no core of what is satisfiable, and no model of what is not. */
const expected = /(?:unsat core|model) is not available/;

function declaredConstants(script: string): readonly string[] {
  return [...script.matchAll(/\(declare-const (\|[^|]*\||[^\s()]+) (?:Real|Int|Bool)\)/g)].map(
    ([, name]) => name ?? "",
  );
}

function startWorker(): Promise<Instance> {
  return new Promise((resolve, reject) => {
    const isSource = import.meta.url.endsWith(".ts");
    const worker = new Worker(
      new URL(isSource ? "./solver/worker.ts" : "./solver/worker.js", import.meta.url),
      {
        resourceLimits: { maxOldGenerationSizeMb: solverMemoryMb },
        execArgv: [],
      },
    );
    worker.unref();
    const refuse = (reason: string) => {
      stopTimer(timer);
      void worker.terminate();
      reject(fault("verifier.solver-unavailable", `Cannot start the solver: ${reason}`, { reason }));
    };
    const timer = startTimer(() => refuse(`no answer within ${solverStartMs} ms`), solverStartMs);
    worker.once("error", (error) => refuse(error instanceof Error ? error.message : String(error)));
    worker.once("message", (reply: SolverReply) => {
      if (reply.kind !== "ready") {
        refuse(reply.kind === "failed" ? reply.reason : "an unexpected reply");
        return;
      }
      stopTimer(timer);
      worker.removeAllListeners("error");
      // A thread that dies later is noticed by the query it was answering, or by the next one.
      worker.on("error", () => undefined);
      resolve({ worker, version: reply.version });
    });
  });
}

type Exchanged =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "lost"; readonly reason: string };

function exchange(worker: Worker, id: number, script: string, patienceMs: number): Promise<Exchanged> {
  return new Promise((resolve) => {
    const end = (exchanged: Exchanged) => {
      stopTimer(timer);
      worker.off("message", onMessage);
      worker.off("exit", onExit);
      worker.unref();
      resolve(exchanged);
    };
    const onMessage = (reply: SolverReply) => {
      if (reply.kind === "output" && reply.id === id) end({ kind: "text", text: reply.text });
    };
    const onExit = () => end({ kind: "lost", reason: "the solver's thread ended" });
    const timer = startTimer(
      () => end({ kind: "lost", reason: "timeout: the solver was stopped" }),
      patienceMs,
    );
    worker.on("message", onMessage);
    worker.on("exit", onExit);
    worker.ref();
    worker.postMessage({ id, script });
  });
}

function readAnswer(text: string): SolverAnswer {
  const replies = parseSexprs(text);
  const verdict = replies.find((reply) => reply === "sat" || reply === "unsat" || reply === "unknown");
  if (replies.at(-1) !== endMark) return { result: "unknown", reason: "the script was not read to its end" };
  const complaint = replies.find(
    (reply) => Array.isArray(reply) && reply[0] === "error" && !expected.test(renderSexpr(reply)),
  );
  if (complaint !== undefined || verdict === undefined) {
    return { result: "unknown", reason: complaint === undefined ? "no verdict" : renderSexpr(complaint) };
  }
  if (verdict === "sat") return { result: "sat", model: modelOf(replies) };
  if (verdict === "unsat") {
    const core = replies.slice(replies.indexOf(verdict) + 1).find(isNameList);
    return { result: "unsat", core: core ?? [] };
  }
  const reason = replies.find((reply) => Array.isArray(reply) && reply[0] === ":reason-unknown");
  return {
    result: "unknown",
    reason: Array.isArray(reason) ? renderSexpr(reason[1] ?? "") : "no reason given",
  };
}

function isNameList(reply: Sexpr): reply is readonly string[] {
  return (
    typeof reply !== "string" &&
    reply[0] !== "error" &&
    !(typeof reply[0] === "string" && reply[0].startsWith(":")) &&
    reply.every((part) => typeof part === "string")
  );
}

function modelOf(replies: readonly Sexpr[]): Readonly<Record<string, string>> {
  const model: Record<string, string> = {};
  const values = replies.findLast((reply) => Array.isArray(reply) && Array.isArray(reply[0]));
  if (values === undefined || typeof values === "string") return model;
  for (const pair of values) {
    if (typeof pair === "string" || typeof pair[0] !== "string" || pair[1] === undefined) continue;
    model[pair[0]] = renderSexpr(pair[1]);
  }
  return model;
}
