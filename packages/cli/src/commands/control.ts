// Orders to a run that is under way.
import type { BodyOf } from "@writ/core/api";
import type { Command } from "commander";
import type { Context } from "../context.ts";
import type { ExitCode } from "../exit-codes.ts";
import { renderRunSummary } from "../render/run.ts";
import type { Act } from "../run.ts";

/** `run` is the command `writ run`. */
export function addControlCommands(run: Command, act: Act): void {
  run
    .command("pause <id>")
    .description("let nothing new begin; what is under way finishes, waits go on counting")
    .option("--reason <text>", "kept in the ledger")
    .action(act(pause));
  run
    .command("resume <id>")
    .description("go on; what came due meanwhile happens now")
    .option("--reason <text>", "kept in the ledger")
    .action(act(resume));
  run
    .command("priority <id> <level>")
    .description("critical, high, normal, low or background")
    .action(act(priority));
  run
    .command("skip <id> <step>")
    .description("go on without a step; what depends on it is skipped too, unless it tolerates that")
    .requiredOption("--reason <text>", "why; kept in the ledger")
    .action(act(skip));
}

interface Reason {
  readonly reason?: string;
}

async function pause(context: Context, id: string, { reason }: Reason): Promise<ExitCode> {
  const body = reason === undefined ? {} : { reason };
  return context.answer(
    await context.client.call("pauseRun", { params: { run: id }, body }),
    renderRunSummary,
  );
}

async function resume(context: Context, id: string, { reason }: Reason): Promise<ExitCode> {
  const body = reason === undefined ? {} : { reason };
  const run = await context.client.call("resumeRun", { params: { run: id }, body });
  return context.answer(run, renderRunSummary);
}

async function priority(
  context: Context,
  id: string,
  level: BodyOf<"setPriority">["priority"],
): Promise<ExitCode> {
  const run = await context.client.call("setPriority", { params: { run: id }, body: { priority: level } });
  return context.answer(run, renderRunSummary);
}

async function skip(
  context: Context,
  id: string,
  step: string,
  { reason }: { readonly reason: string },
): Promise<ExitCode> {
  const run = await context.client.call("skipStep", { params: { run: id, step }, body: { reason } });
  return context.answer(run, renderRunSummary);
}
