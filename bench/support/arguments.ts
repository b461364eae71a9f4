import process from "node:process";
import type { Workload } from "./workload.ts";

/** `--name 12` on the command line. */
export function numberArgument(name: string, fallback: number): number {
  const index = process.argv.indexOf(`--${name}`);
  return index < 0 ? fallback : Number(process.argv[index + 1]);
}

/** `--name text` on the command line. */
export function textArgument(name: string, fallback: string): string {
  const index = process.argv.indexOf(`--${name}`);
  return index < 0 ? fallback : (process.argv[index + 1] ?? fallback);
}

/** A run from start to end, told to `done` when it has finished. */
export function counted(
  work: Workload,
  program: string,
  data: Readonly<Record<string, unknown>>,
  done: () => void,
): () => Promise<void> {
  return async () => {
    await work.runOnce(program, data);
    done();
  };
}
