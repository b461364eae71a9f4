// Orders to a run that is under way.
import type { BodyOf } from "@writ/core/api";
import type { Json } from "@writ/core/value";
import type { Command } from "commander";
import { wholeHash, type Context } from "../context.ts";
import type { ExitCode } from "../exit-codes.ts";
import { fault } from "../faults.ts";
import { renderFork } from "../render/fork.ts";
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
    .command("break <id> <where>")
    .description("stop before a step, or before a capability (`filesystem.*`), and show what would be done")
    .action(act(breakBefore));
  run
    .command("unbreak <id> <breakpoint>")
    .description("clear a breakpoint; a step that stands there is let go on with `writ run go-on`")
    .action(act(unbreak));
  run
    .command("go-on <id> <step>")
    .description("let a step go on from a breakpoint, as shown or with other parameters")
    .option(
      "--set <name=value>",
      "another parameter, as JSON or plain text; it takes a new approval (repeatable)",
      collect,
      [],
    )
    .option("--comment <text>", "kept in the ledger")
    .addHelpText(
      "after",
      "\nExample:\n  writ run go-on r_6d1c0d54c8279ab8dd6a move --set destination=checked/a.csv",
    )
    .action(act(goOn));
  run
    .command("retry <id> <step>")
    .description("try a failed step again, with what fell with it; a run that ended as failed goes on")
    .option("--reason <text>", "kept in the ledger")
    .action(act(retry));
  run
    .command("migrate <id> <hash>")
    .description("move a run to another approved version, when all that has begun is the same there")
    .action(act(migrate));
  run
    .command("fork <id>")
    .description("a new run that begins where an ended one stood; what that had done is not done again")
    .requiredOption("--at <entry>", "after this entry of it; `writ run show` has their numbers")
    .option("--simulate", "without any effect: reads come from the record, writes are only looked at")
    .action(act(fork));
  run
    .command("skip <id> <step>")
    .description("go on without a step; what depends on it is skipped too, unless it tolerates that")
    .requiredOption("--reason <text>", "why; kept in the ledger")
    .action(act(skip));
}

export function collect(value: string, known: readonly string[]): readonly string[] {
  return [...known, value];
}

async function breakBefore(context: Context, id: string, where: string): Promise<ExitCode> {
  const set = await context.client.call("setBreakpoint", { params: { run: id }, body: { where } });
  return context.answer(set, ({ breakpoint, run }) => `${breakpoint} set\n${renderRunSummary(run)}`);
}

async function unbreak(context: Context, id: string, breakpoint: string): Promise<ExitCode> {
  const run = await context.client.call("clearBreakpoint", { params: { run: id, breakpoint } });
  return context.answer(run, renderRunSummary);
}

async function goOn(
  context: Context,
  id: string,
  step: string,
  { set, comment }: { readonly set: readonly string[]; readonly comment?: string },
): Promise<ExitCode> {
  const params = Object.fromEntries(set.map(assignment));
  const body = {
    ...(set.length === 0 ? {} : { params }),
    ...(comment === undefined ? {} : { comment }),
  };
  const run = await context.client.call("releaseStep", { params: { run: id, step }, body });
  return context.answer(run, renderRunSummary);
}

/** What is no JSON is text. @throws command.assignment */
function assignment(text: string): readonly [string, Json] {
  const at = text.indexOf("=");
  if (at <= 0) throw fault("command.assignment", `Cannot take \`${text}\`: expected NAME=VALUE`, { text });
  const value = text.slice(at + 1);
  try {
    return [text.slice(0, at), JSON.parse(value) as Json];
  } catch {
    return [text.slice(0, at), value];
  }
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

async function retry(context: Context, id: string, step: string, { reason }: Reason): Promise<ExitCode> {
  const body = reason === undefined ? {} : { reason };
  const run = await context.client.call("retryStep", { params: { run: id, step }, body });
  return context.answer(run, renderRunSummary);
}

async function migrate(context: Context, id: string, hash: string): Promise<ExitCode> {
  const body = { program: await wholeHash(context, hash) };
  const run = await context.client.call("migrateRun", { params: { run: id }, body });
  return context.answer(run, renderRunSummary);
}

async function fork(
  context: Context,
  id: string,
  { at, simulate }: { readonly at: string; readonly simulate?: boolean },
): Promise<ExitCode> {
  const body = { at: Number(at), ...(simulate === true ? { simulate } : {}) };
  const outcome = await context.client.call("forkRun", { params: { run: id }, body });
  return context.answer(outcome, renderFork);
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
