import { setTimeout as sleep } from "node:timers/promises";
import type { RunDetail, RunStatus } from "@writ/core/api";
import type { Command } from "commander";
import type { Context } from "../context.ts";
import type { ExitCode } from "../exit-codes.ts";
import { fault } from "../faults.ts";
import { paragraphs } from "../render/layout.ts";
import { renderApprovals, renderFault } from "../render/run.ts";
import type { Act } from "../run.ts";

export function addApprovalCommands(program: Command, act: Act): void {
  const approvals = program
    .command("approvals")
    .description("what waits for a person, with exactly what will be done; approve or reject")
    .option("--mine", "only what you may decide")
    .addHelpText(
      "after",
      '\nExamples:\n  writ approvals\n  writ approvals approve a_0123abcd --comment "checked"',
    )
    .action(act(list));
  for (const decision of ["approve", "reject"] as const) {
    approvals
      .command(`${decision} <id>`)
      .description(`${decision} what waits under this id (a unique prefix is enough)`)
      .option("--comment <text>", "kept in the ledger")
      .action(
        act((context, id: string, options: { readonly comment?: string }) =>
          decide(context, id, decision, options.comment),
        ),
      );
  }
}

async function list(context: Context, { mine }: { readonly mine?: boolean }): Promise<ExitCode> {
  const answer = await context.client.call("listApprovals", { query: { mine: mine === true } });
  return context.answer(answer.approvals, renderApprovals);
}

async function decide(
  context: Context,
  id: string,
  decision: "approve" | "reject",
  comment: string | undefined,
): Promise<ExitCode> {
  const approval = await wholeId(context, id);
  const body = comment === undefined ? { decision } : { decision, comment };
  const answer = await context.client.call("decideApproval", { params: { approval }, body });
  const done = decision === "approve" ? "approved" : "rejected";
  const run = await outcome(context, answer.run, answer.approval);
  return context.answer({ ...answer, status: run?.status ?? null, fault: run?.fault ?? null }, (shown) =>
    paragraphs(
      `${done} ${shown.approval}; run ${shown.run} ${becameOf(shown.status)}`,
      renderFault(shown.fault),
    ),
  );
}

const outcomeWaitMsMax = 1000;

/** The run when it ends, is held or asks again within a second; undefined when it is not known yet. */
async function outcome(context: Context, id: string, approval: string): Promise<RunDetail | undefined> {
  const pauseMs = 100;
  for (let waitedMs = 0; waitedMs <= outcomeWaitMsMax; waitedMs += pauseMs) {
    // The decision stands, whatever can be read of the run.
    const run = await context.client.call("getRun", { params: { run: id } }).catch(() => undefined);
    if (run === undefined) return undefined;
    const asksAgain = run.approvals.some((other) => other.id !== approval && other.state === "waiting");
    if (run.endedAtMs !== null || run.status === "held" || (run.status === "waiting" && asksAgain))
      return run;
    await sleep(pauseMs);
  }
  return undefined;
}

function becameOf(status: RunStatus | null): string {
  switch (status) {
    case null:
      return "goes on";
    case "held":
      return "is held for a person: see `writ status`";
    case "waiting":
      return "waits for another approval: see `writ approvals`";
    default:
      return `is ${status.replace("_", " ")}`;
  }
}

/** @throws command.approval when no or more than one waiting approval starts so */
async function wholeId(context: Context, id: string): Promise<string> {
  if (/^a_[0-9a-z]{20,40}$/.test(id)) return id;
  const { approvals } = await context.client.call("listApprovals", { query: {} });
  const found = approvals.map((approval) => approval.id).filter((known) => known.startsWith(id));
  if (found.length === 1 && found[0] !== undefined) return found[0];
  // A whole id that no longer waits goes to the node, whose answer says what became of it.
  if (found.length === 0 && /^a_[0-9a-z]{8,40}$/.test(id)) return id;
  throw fault(
    "command.approval",
    found.length === 0 ? `Nothing waits under \`${id}\`` : `\`${id}\` stands for ${found.length} approvals`,
    { id, found },
  );
}
