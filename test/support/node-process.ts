// A real node in its own process, on a free port, with a data folder of its own; and the `writ` command against it.
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { bundle, isFromSource } from "../../scripts/bundle.mjs";
import { openClient, type Client } from "@writ/sdk/client";

export const root = path.resolve(import.meta.dirname, "..", "..");
/** What ships: bundled, or with WRIT_SOURCE=1 the sources as they are. */
const [serverMain, cliMain] = isFromSource
  ? [
      path.join(root, "packages", "server", "src", "main.ts"),
      path.join(root, "packages", "cli", "src", "main.ts"),
    ]
  : ((folder) => [path.join(folder, "node.js"), path.join(folder, "writ.js")])(bundle(process.execPath));
const killAtSync = path.join(import.meta.dirname, "kill-at-sync.ts");
/** The same as that of `npm start`. */
const compileCache = path.join(root, "node_modules", ".cache", "writ-compile");
const startTimeoutMs = 30_000;

export interface Finished {
  readonly code: number | null;
  readonly out: string;
  readonly error: string;
}

export class NodeProcess implements AsyncDisposable {
  /** Folder of everything: `data` below it, and whatever a test puts beside it. */
  readonly folder: string;
  readonly data: string;
  /** Leaves the folder where it is at the end, for somebody to look at. */
  isKept = false;
  /** `before 7`: the next start ends itself with SIGKILL before its 7th sync; also `inside` and `after`. */
  killAt: string | null = null;
  #child: ChildProcess | undefined;
  #printed = "";
  #url = "";
  #token = "";

  constructor(folder = mkdtempSync(path.join(tmpdir(), "writ-node-")), data = path.join(folder, "data")) {
    this.folder = folder;
    this.data = data;
  }

  static async start(): Promise<NodeProcess> {
    const node = new NodeProcess();
    await node.start();
    return node;
  }

  get url(): string {
    return this.#url;
  }

  /** The owner's token, as the first start printed it. */
  get token(): string {
    return this.#token;
  }

  set token(token: string) {
    this.#token = token;
  }

  get printed(): string {
    return this.#printed;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  client(token = this.#token): Client {
    return openClient({ url: this.#url, token });
  }

  /** Starts it and resolves when it listens; rejects with what it printed when it ends instead. */
  async start(...flags: readonly string[]): Promise<void> {
    this.#printed = "";
    const child = spawn(
      process.execPath,
      [
        ...(this.killAt === null ? [] : ["--import", killAtSync]),
        "--conditions=@writ/source",
        serverMain,
        "--data",
        this.data,
        "--port",
        "0",
        ...flags,
      ],
      {
        cwd: root,
        stdio: ["ignore", "pipe", "pipe"],
        env: {
          ...bareEnvironment(this.folder),
          NODE_COMPILE_CACHE: compileCache,
          ...(this.killAt === null ? {} : { WRIT_TEST_KILL_AT: this.killAt }),
        },
      },
    );
    this.killAt = null;
    this.#child = child;
    const listening = new Promise<void>((resolve, reject) => {
      const look = (chunk: Buffer): void => {
        this.#printed += chunk.toString("utf8");
        const url = /http:\/\/127\.0\.0\.1:(?!0\b)\d+/.exec(this.#printed)?.[0];
        if (url === undefined) return;
        this.#url = url;
        resolve();
      };
      child.stdout?.on("data", look);
      child.stderr?.on("data", (chunk: Buffer) => {
        this.#printed += chunk.toString("utf8");
      });
      child.on("error", reject);
      child.on("exit", (code, signal) => {
        reject(new Error(`the node ended with ${code ?? signal} before it listened:\n${this.#printed}`));
      });
    });
    // Someone who kills the node while it starts does not wait for it to listen.
    listening.catch(() => {});
    await within(listening, startTimeoutMs, () => `the node does not listen:\n${this.#printed}`);
    this.#token ||= await this.#ownerToken();
  }

  /** What the first start printed, once it is there whole. */
  async #ownerToken(): Promise<string> {
    for (let waitedMs = 0; waitedMs < 5000; waitedMs += 20) {
      const token = /writ_[0-9a-f]{16}_[A-Za-z0-9_-]{43}/.exec(this.#printed)?.[0];
      if (token !== undefined) return token;
      await pause(20);
    }
    throw new Error(`the node printed no token:\n${this.#printed}`);
  }

  /** True when it has ended by itself. */
  get isGone(): boolean {
    return this.#child !== undefined && (this.#child.exitCode !== null || this.#child.signalCode !== null);
  }

  /** Ends it at once, as a crash would. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** Asks it to stop, as Ctrl-C would; its exit status. */
  async stop(): Promise<number | null> {
    return this.#end("SIGINT");
  }

  async #end(signal: "SIGKILL" | "SIGINT"): Promise<number | null> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined) return null;
    if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
    const ended = once(child, "exit");
    child.kill(signal);
    await within(ended, startTimeoutMs, () => `the node does not end after ${signal}:\n${this.#printed}`);
    return child.exitCode;
  }

  /** The `writ` command as a process of its own. */
  async writ(...args: readonly string[]): Promise<Finished> {
    return this.writAs(this.#token, args);
  }

  async writAs(token: string, args: readonly string[], input = ""): Promise<Finished> {
    const child = spawn(process.execPath, ["--conditions=@writ/source", cliMain, ...args], {
      cwd: root,
      env: { ...bareEnvironment(this.folder), WRIT_URL: this.#url, WRIT_TOKEN: token, WRIT_DATA: this.data },
      stdio: ["pipe", "pipe", "pipe"],
    });
    child.stdin.end(input);
    return finished(child, `writ ${args.join(" ")}`);
  }

  /** A command line as a person pastes it in a shell in this folder, with no setting but a home of their own. */
  async shell(line: string): Promise<Finished> {
    const child = spawn("/bin/sh", ["-c", line], {
      cwd: root,
      env: bareEnvironment(this.folder),
      stdio: ["ignore", "pipe", "pipe"],
    });
    return finished(child, line);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    if (!this.isKept) rmSync(this.folder, { recursive: true, force: true });
  }
}

async function finished(child: ChildProcess, line: string): Promise<Finished> {
  let out = "";
  let error = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    out += text;
  });
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    error += text;
  });
  await within(once(child, "close"), 60_000, () => `${line} does not end:\n${out}${error}`);
  return { code: child.exitCode, out, error };
}

/** Nothing of the user's own settings reaches a node or a command under test. */
function bareEnvironment(home: string): NodeJS.ProcessEnv {
  return { PATH: process.env["PATH"], HOME: home, NO_COLOR: "1", TZ: process.env["TZ"] };
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function within<T>(promise: Promise<T>, timeoutMs: number, message: () => string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(message())), timeoutMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Looks until the answer is there; rejects with the last thing seen. */
export async function eventually<T>(
  look: () => Promise<T | undefined> | T | undefined,
  what: string,
  timeoutMs = 20_000,
): Promise<T> {
  const startedMs = Date.now();
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() - startedMs > timeoutMs) throw new Error(`it did not come about: ${what}`);
    await pause(50);
  }
}
