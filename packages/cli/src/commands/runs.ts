import type { PlanOutcome, QueryOf, RunDetail, RunStatus } from "@writ/core/api";
import { printableJson } from "@writ/core/printable";
import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import { parseJson, readInput, wholeHash, type Context } from "../context.ts";
import { exitCodes, type ExitCode } from "../exit-codes.ts";
import { paragraphs } from "../render/layout.ts";
import { renderCounterexamples, renderOutcome, renderProblems } from "../render/program.ts";
import {
  renderApprovals,
  renderFault,
  renderRun,
  renderRuns,
  renderRunSummary,
  renderStarted,
} from "../render/run.ts";
import type { Act } from "../run.ts";
import { addControlCommands, collect } from "./control.ts";
import { addLookingBackCommands } from "./looking-back.ts";
import { compileFile, eventData } from "./programs.ts";

const settledWaitMsMax = 60_000;

export function addRunCommands(program: Command, act: Act): void {
  program.commandsGroup("Runs:");
  program
    .command("runs")
    .description("list runs, newest first")
    .option(
      "--status <status>",
      "running, waiting, paused, held, cancelling, undoing, finished, failed, cancelled or rolled_back",
    )
    .option("--program <hash>", "of one program")
    .option("--limit <count>", "at most so many", "50")
    .option("--before <run>", "older than this run")
    .action(act(runs));
  const run = program.command("run").description("one run: show, start, control, replay, settle");
  run.command("show <id>").description("steps, entries, approvals, result").action(act(show));
  run
    .command("start <hash> [event]")
    .description("start a deployed program by hand; EVENT as for `writ preview`")
    .option("--wait", "answer when it has ended, waits for a person or is held")
    .option(
      "--break <where>",
      "stop before a step or a capability; see `writ run break` (repeatable)",
      collect,
      [],
    )
    .action(act(start));
  run
    .command("cancel <id>")
    .description("stop a run")
    .option("--undo", "and take back what it did")
    .option("--reason <text>", "kept in the ledger")
    .action(act(cancel));
  addLookingBackCommands(program, run, act);
  run
    .command("settle <id> <step> <decision>")
    .description("decide on a held effect (done, failed, again, skip) or a held undo (done, again, leave)")
    .option("--result <json>", "what the effect returned, when it is settled as done")
    .action(act(settle));
  addControlCommands(run, act);
  program
    .command("undo <id>")
    .description("take back everything an ended run did, in reverse, as far as the world still allows")
    .option("--reason <text>", "kept in the ledger")
    .action(act(undo));
  const plan = program.command("plan").description("plans (IML 2.0, JSON): check or run");
  plan
    .command("check <file>")
    .description("compile and prove a plan without running it")
    .option("--workspace <name>", "the only workspace otherwise")
    .action(act(checkPlan));
  plan
    .command("run <file>")
    .description("compile, prove, sign and run a plan at once; approvals are asked for on the way")
    .option("--workspace <name>", "the only workspace otherwise")
    .option("--no-wait", "answer as soon as it has started")
    .addHelpText("after", "\nExample:\n  writ plan run examples/plans/report.json")
    .action(act(runPlan));
}

interface RunsOptions {
  readonly status?: RunStatus;
  readonly program?: string;
  readonly limit: string;
  readonly before?: string;
}

async function runs(context: Context, options: RunsOptions): Promise<ExitCode> {
  const query: {
    -readonly [Key in keyof NonNullable<QueryOf<"listRuns">>]: NonNullable<QueryOf<"listRuns">>[Key];
  } = {
    limit: Number(options.limit),
  };
  if (options.status !== undefined) query.status = options.status;
  if (options.program !== undefined) query.program = await wholeHash(context, options.program);
  if (options.before !== undefined) query.before = options.before;
  const answer = await context.client.call("listRuns", { query });
  return context.answer(answer.runs, (shown) =>
    paragraphs(
      renderRuns(shown),
      answer.next === null ? "" : `older ones: writ runs --before ${answer.next}`,
    ),
  );
}

async function show(context: Context, id: string): Promise<ExitCode> {
  const run = await context.client.call("getRun", { params: { run: id } });
  return context.answer(run, renderRun);
}

async function start(
  context: Context,
  hash: string,
  event: string | undefined,
  options: { readonly wait?: boolean; readonly break: readonly string[] },
): Promise<ExitCode> {
  const started = await context.client.call("startRun", {
    params: { hash: await wholeHash(context, hash) },
    query: { wait: options.wait === true },
    body: {
      ...(event === undefined ? {} : { data: await eventData(context, event) }),
      ...(options.break.length === 0 ? {} : { breakpoints: [...options.break] }),
    },
  });
  return context.answer(started, renderStarted, codeOfStatus(started.status));
}

async function cancel(
  context: Context,
  id: string,
  { undo: takeBack, reason }: { readonly undo?: boolean; readonly reason?: string },
): Promise<ExitCode> {
  const body = { undo: takeBack === true, ...(reason === undefined ? {} : { reason }) };
  await context.client.call("cancelRun", { params: { run: id }, body });
  const run = await settled(context, id);
  const isOver = run.status === "cancelled" || run.status === "rolled_back";
  const done = isOver && (takeBack !== true || isTakenBack(run));
  return context.answer(
    run,
    (shown) => paragraphs(renderRunSummary(shown), renderFault(shown.fault)),
    done ? exitCodes.ok : exitCodes.refused,
  );
}

async function undo(
  context: Context,
  id: string,
  { reason }: { readonly reason?: string },
): Promise<ExitCode> {
  await context.client.call("undoRun", { params: { run: id }, body: reason === undefined ? {} : { reason } });
  const run = await settled(context, id);
  const code = isTakenBack(run) ? exitCodes.ok : exitCodes.refused;
  return context.answer(run, renderRun, code);
}

/** Nothing is held or still being undone, and the run's end names no step that stays. */
function isTakenBack(run: RunDetail): boolean {
  const isHeld = run.steps.some((step) => step.held !== null);
  return !isHeld && run.status !== "undoing" && run.fault?.facts["stays"] === undefined;
}

type Decision = "done" | "failed" | "again" | "skip" | "leave";

async function settle(
  context: Context,
  id: string,
  step: string,
  decision: Decision,
  { result }: { readonly result?: string },
): Promise<ExitCode> {
  const body =
    result === undefined
      ? { decision }
      : { decision, result: parseJson(result, "the result") as RunDetail["result"] };
  const run = await context.client.call("settleStep", { params: { run: id, step }, body });
  return context.answer(run, renderRunSummary);
}

async function checkPlan(
  context: Context,
  file: string,
  options: { readonly workspace?: string },
): Promise<ExitCode> {
  const outcome = await compileFile(context, file, { ...options, plan: true });
  const code = outcome.kind === "compiled" ? exitCodes.ok : exitCodes.refused;
  return context.answer(outcome, renderOutcome, code);
}

async function runPlan(
  context: Context,
  file: string,
  { workspace, wait }: { readonly workspace?: string; readonly wait: boolean },
): Promise<ExitCode> {
  const plan = parseJson(await readInput(context, file), `\`${file}\``) as RunDetail["result"];
  const body = { plan, wait, ...(workspace === undefined ? {} : { workspace }) };
  const outcome = await context.client.call("runPlan", { body });
  const code = outcome.kind === "started" ? codeOfStatus(outcome.status) : exitCodes.refused;
  return context.answer(outcome, renderPlan, code);
}

function renderPlan(outcome: PlanOutcome): string {
  switch (outcome.kind) {
    case "started":
      return paragraphs(
        `${outcome.run}: ${outcome.status}`,
        renderFault(outcome.fault),
        outcome.approvals.length === 0 ? "" : renderApprovals(outcome.approvals),
        outcome.result === null ? "" : `result ${printableJson(outcome.result, 2)}`,
      );
    case "refused":
      return paragraphs(`refused: ${outcome.name}`, renderCounterexamples(outcome.counterexamples));
    case "rejected":
      return paragraphs("rejected: it cannot be compiled", renderProblems(outcome.problems));
  }
}

/** A run that failed or was rolled back did not do what was asked for. */
function codeOfStatus(status: RunStatus): ExitCode {
  return status === "failed" || status === "rolled_back" || status === "cancelled"
    ? exitCodes.refused
    : exitCodes.ok;
}

/** The run once it has ended or waits for a person; as it is after a minute. */
async function settled(context: Context, id: string): Promise<RunDetail> {
  const pauseMs = 100;
  for (let waitedMs = 0; ; waitedMs += pauseMs) {
    const run = await context.client.call("getRun", { params: { run: id } });
    const moving = run.status === "running" || run.status === "cancelling" || run.status === "undoing";
    if (!moving || waitedMs >= settledWaitMsMax) return run;
    await sleep(pauseMs);
  }
}
