import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import process from "node:process";

const here = import.meta.dirname;

export interface Started {
  readonly process: ChildProcess;
  readonly firstLine: string;
  stop(signal?: NodeJS.Signals): Promise<void>;
}

/** Starts a script of this folder and waits for its first line of output. */
export async function start(script: string, args: readonly string[]): Promise<Started> {
  const child = spawn(
    process.execPath,
    ["--conditions=@writ/source", "--disable-warning=ExperimentalWarning", path.join(here, script), ...args],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  const firstLine = await new Promise<string>((resolve, reject) => {
    let text = "";
    child.stdout.setEncoding("utf8");
    child.stdout.on("data", (chunk: string) => {
      text += chunk;
      const end = text.indexOf("\n");
      if (end >= 0) resolve(text.slice(0, end));
    });
    child.once("exit", (code) => reject(new Error(`${script} ended with ${code} before it was ready`)));
  });
  return {
    process: child,
    firstLine,
    stop: async (signal = "SIGTERM") => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill(signal);
      await once(child, "exit");
    },
  };
}
