// What must happen on the machine itself, beside the node and not through it: a program of the server package does it.
import type { Context } from "../context.ts";
import { exitCodes, type ExitCode } from "../exit-codes.ts";

/** Runs `packages/server/src/main.ts` with the arguments, on this machine's data folder. */
export async function runServerCommand(context: Context, args: readonly string[]): Promise<ExitCode> {
  const status = await context.terminal.runLocal("packages/server/src/main.ts", [
    ...args,
    "--data",
    context.settings.data,
  ]);
  return status === 0 ? exitCodes.ok : exitCodes.rejected;
}
