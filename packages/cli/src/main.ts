// The process behind `writ`. The only file of this package that sees the real process.
import { spawn } from "node:child_process";
import { constants, homedir } from "node:os";
import path from "node:path";
import { run } from "./run.ts";
import type { Terminal } from "./terminal.ts";

const clone = path.resolve(import.meta.dirname, "..", "..", "..");

const terminal: Terminal = {
  out: (text) => void process.stdout.write(text),
  error: (text) => void process.stderr.write(text),
  async *input() {
    process.stdin.setEncoding("utf8");
    for await (const part of process.stdin) yield String(part);
  },
  environment: process.env,
  folder: process.cwd(),
  home: homedir(),
  runLocal: (script, args) =>
    new Promise((resolve, reject) => {
      const command = ["--conditions=@writ/source", path.join(clone, script), ...args];
      const child = spawn(process.execPath, command, { stdio: "inherit" });
      child.on("error", reject);
      child.on("exit", (code, signal) => {
        resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal]));
      });
    }),
};

// A reader that has seen enough (`| head`) is no error.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});

process.exitCode = await run(process.argv.slice(2), terminal);
