import type { Countdown } from "@writ/core/api";
import type { Command } from "commander";
import type { Context } from "../context.ts";
import type { ExitCode } from "../exit-codes.ts";
import { fault } from "../faults.ts";
import { paragraphs, time } from "../render/layout.ts";
import { renderEffect } from "../render/effect.ts";
import type { Act } from "../run.ts";

export function addCountdownCommands(program: Command, act: Act): void {
  const countdown = program
    .command("countdown")
    .description("what is announced and will be done unless somebody cancels it: list, cancel, acknowledge")
    .addHelpText(
      "after",
      '\nExamples:\n  writ countdown list\n  writ countdown cancel c_0123abcd --reason "somebody stands there"',
    );
  countdown.command("list").description("countdowns that run, the first to end in front").action(act(list));
  for (const decision of ["cancel", "acknowledge"] as const) {
    countdown
      .command(`${decision} <id>`)
      .description(
        decision === "cancel"
          ? "stop what is announced (a unique prefix of the id is enough)"
          : "say that you saw it; it is done at the end of its countdown",
      )
      .option("--reason <text>", "kept in the ledger")
      .action(
        act((context, id: string, { reason }: { readonly reason?: string }) =>
          decide(context, id, decision, reason),
        ),
      );
  }
}

async function list(context: Context): Promise<ExitCode> {
  const { countdowns } = await context.client.call("listCountdowns", {});
  return context.answer(countdowns, (shown) =>
    shown.length === 0 ? "No countdown runs." : paragraphs(...shown.map(renderCountdown)),
  );
}

async function decide(
  context: Context,
  id: string,
  decision: "cancel" | "acknowledge",
  reason: string | undefined,
): Promise<ExitCode> {
  const request = {
    params: { countdown: await wholeId(context, id) },
    body: reason === undefined ? {} : { reason },
  };
  const answer =
    decision === "cancel"
      ? await context.client.call("cancelCountdown", request)
      : await context.client.call("acknowledgeCountdown", request);
  const done = decision === "cancel" ? "cancelled" : "acknowledged";
  return context.answer(answer, (shown) => `${done} ${shown.countdown}: step ${shown.step} of ${shown.run}`);
}

/** @throws command.countdown when no or more than one countdown starts so */
async function wholeId(context: Context, id: string): Promise<string> {
  if (/^c_[0-9a-z]{20,40}$/.test(id)) return id;
  const { countdowns } = await context.client.call("listCountdowns", {});
  const found = countdowns.map((one) => one.id).filter((known) => known.startsWith(id));
  if (found.length === 1 && found[0] !== undefined) return found[0];
  throw fault("command.countdown", `\`${id}\` stands for ${found.length} countdowns that run`, { id, found });
}

function renderCountdown(countdown: Countdown): string {
  const { id, run, programName, role, endsAtMs, requiresAcknowledgment, acknowledgedBy, onMissed } =
    countdown;
  const seen =
    acknowledgedBy === null
      ? requiresAcknowledgment
        ? `waits for the ${role} to acknowledge it; without: ${onMissed}`
        : `the ${role} may cancel it`
      : `acknowledged by ${acknowledgedBy}`;
  return [
    `${id}  at ${time(endsAtMs)}, ${seen}`,
    `  of ${run} (${programName})`,
    renderEffect(countdown.effect),
  ].join("\n");
}
