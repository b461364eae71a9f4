// One process: started without a shell in a group of its own, watched, and ended together with everything it started.
//   X3  Nothing of a command outlives it: when it ends, or is told to, its whole group is ended.
import { spawn } from "node:child_process";
import { PassThrough, type Readable } from "node:stream";
import { setTimeout as wait } from "node:timers/promises";
import type { AbortSignalLike, CallContext } from "@writ/core/capability";
import { fault } from "../faults.ts";
import {
  commandKillGraceMs,
  commandOutputBytesMax,
  commandOutputHeadBytes,
  commandOutputTailBytes,
} from "../limits.ts";
import { signalTree } from "./started.ts";

export interface ProcessRequest {
  readonly executable: string;
  readonly args: readonly string[];
  readonly folder: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly stdin: string | null;
  readonly capture: boolean;
  readonly timeoutMs: number;
  readonly signal: AbortSignalLike;
  readonly attach: CallContext["attach"];
  /** It lives. */
  readonly onStart: (pid: number) => void;
  readonly onOutput: (so: Output, far: Output) => void;
  readonly onEnd: (pid: number) => void;
}

export interface ProcessOutcome {
  readonly why: "exit" | "timeout" | "stopped";
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly stdout: Output;
  readonly stderr: Output;
}

/** @throws exec.start-failed: it never ran */
export async function runProcess(request: ProcessRequest): Promise<ProcessOutcome> {
  const { capture } = request;
  const child = spawn(request.executable, [...request.args], {
    cwd: request.folder,
    env: { ...request.environment },
    shell: false,
    detached: true,
    windowsHide: true,
    stdio: [
      request.stdin === null ? "ignore" : "pipe",
      capture ? "pipe" : "ignore",
      capture ? "pipe" : "ignore",
    ],
  });
  const exited = new Promise<{ readonly code: number | null; readonly signal: string | null }>(
    (resolve, reject) => {
      child.once("error", reject);
      child.once("exit", (code, signal) => resolve({ code, signal }));
    },
  );
  const { pid } = child;
  if (pid === undefined) {
    throw await exited.then(
      () => new Error("Invariant broken: a process without a number has exited"),
      (error: unknown) => startFailed(request, error),
    );
  }
  const stdout = createOutput(child.stdout, request.attach, () => request.onOutput(stdout, stderr));
  const stderr = createOutput(child.stderr, request.attach, () => request.onOutput(stdout, stderr));
  request.onStart(pid);
  // A program need not read what it is given.
  child.stdin?.on("error", () => undefined);
  child.stdin?.end(request.stdin ?? "");

  const ended = new AbortController();
  let why: ProcessOutcome["why"] = "exit";
  const end = (reason: "timeout" | "stopped"): void => {
    if (why !== "exit" || ended.signal.aborted) return;
    why = reason;
    signalTree(pid, "SIGTERM");
    wait(commandKillGraceMs, undefined, { signal: ended.signal }).then(
      () => signalTree(pid, "SIGKILL"),
      () => undefined,
    );
  };
  wait(request.timeoutMs, undefined, { signal: ended.signal }).then(
    () => end("timeout"),
    () => undefined,
  );
  const onAbort = (): void => end("stopped");
  request.signal.addEventListener("abort", onAbort);
  if (request.signal.aborted) end("stopped");
  try {
    const { code, signal } = await exited;
    return {
      why,
      exitCode: code,
      signal,
      stdout,
      stderr,
    };
  } finally {
    ended.abort();
    request.signal.removeEventListener("abort", onAbort);
    signalTree(pid, "SIGKILL");
    await Promise.all([stdout.close(), stderr.close()]);
    request.onEnd(pid);
  }
}

function startFailed({ executable }: ProcessRequest, error: unknown) {
  const why = error instanceof Error ? error.message : String(error);
  return fault("exec.start-failed", `Cannot start \`${executable}\`: ${why}`, { executable }, error);
}

/** What a stream of the process said: its beginning and its end as text, all of it as a blob when that is more. */
export interface Output {
  readonly sizeBytes: () => number;
  readonly leftOutBytes: () => number;
  /** Beginning and end, with a mark where something was left out. */
  readonly text: () => string;
  readonly tail: (length: number) => string;
  /** The whole, up to a limit, once it is closed; null when the text is the whole. */
  readonly blob: () => { readonly sha256: string; readonly sizeBytes: number } | null;
  close(): Promise<void>;
}

/** After the process has ended, what it wrote is there; a stream still open then is held by something that escaped its group. */
const drainMs = 500;

function createOutput(stream: Readable | null, attach: CallContext["attach"], told: () => void): Output {
  const head: Uint8Array[] = [];
  let headBytes = 0;
  let tail: Uint8Array = new Uint8Array();
  let total = 0;
  let whole: PassThrough | null = null;
  let keeping: Promise<{ readonly sha256: string; readonly sizeBytes: number } | null> =
    Promise.resolve(null);
  let blob: { readonly sha256: string; readonly sizeBytes: number } | null = null;

  const keep = (chunk: Uint8Array): void => {
    if (attach === undefined || total > commandOutputBytesMax) {
      whole?.end();
      return;
    }
    if (whole === null) {
      const made = (whole = new PassThrough());
      for (const each of head) made.write(each);
      // The output is a help to a reader; the command has run whether it can be kept or not.
      keeping = attach(made).catch(() => {
        made.resume();
        return null;
      });
    }
    if (!whole.write(chunk) && stream !== null) {
      stream.pause();
      whole.once("drain", () => stream.resume());
    }
  };
  const closed = new Promise<void>((resolve) => {
    if (stream === null) resolve();
    stream?.on("data", (chunk: Uint8Array) => {
      total += chunk.length;
      const first = chunk.subarray(0, commandOutputHeadBytes - headBytes);
      const rest = chunk.subarray(first.length);
      if (rest.length > 0) keep(chunk);
      head.push(first);
      headBytes += first.length;
      const joined = Buffer.concat([tail, rest]);
      tail = joined.subarray(Math.max(0, joined.length - commandOutputTailBytes));
      told();
    });
    stream?.once("close", () => resolve());
    stream?.once("error", () => resolve());
  });
  const leftOutBytes = (): number => total - headBytes - tail.length;
  return {
    sizeBytes: () => total,
    leftOutBytes,
    text() {
      const left = leftOutBytes();
      const mark = left === 0 ? "" : `\n[… ${left} bytes left out …]\n`;
      return left === 0 ? textOf([...head, tail]) : `${textOf(head)}${mark}${textOf([tail])}`;
    },
    tail: (length) => textOf([...head.slice(-2), tail]).slice(-length),
    blob: () => blob,
    async close() {
      const late = new AbortController();
      await Promise.race([closed, wait(drainMs, undefined, { signal: late.signal }).catch(() => undefined)]);
      late.abort();
      stream?.destroy();
      whole?.end();
      blob = await keeping;
    },
  };
}

function textOf(parts: readonly Uint8Array[]): string {
  return new TextDecoder().decode(Buffer.concat(parts));
}
