// Looking back at runs: any moment of them, two beside each other, why a step happened, and a run as a file for somebody else.
import { existsSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fromBase64 } from "@writ/core/bytes";
import { verifyRunExport, type ExportReport } from "@writ/core/run-export";
import type { Command } from "commander";
import { readBytes, type Context } from "../context.ts";
import { exitCodes, type ExitCode } from "../exit-codes.ts";
import { fault } from "../faults.ts";
import { renderExportReport, renderRunDiff, renderWhy } from "../render/looking-back.ts";
import { shellWord } from "../render/layout.ts";
import { renderReplay } from "../render/run.ts";
import type { Act } from "../run.ts";
import { nodeHasher, verifySignature } from "../signature-check.ts";

export function addLookingBackCommands(program: Command, run: Command, act: Act): void {
  run
    .command("replay <id>")
    .description("derive every state again from the ledger, with no effect")
    .option("--to <seq>", "up to this entry, and show everything the run was then")
    .action(act(replay));
  run
    .command("diff <a> <b>")
    .description("where two runs part: what they began with, each step, how they ended")
    .action(act(diff));
  run
    .command("export <id> [file]")
    .description("write the run as one file that anybody can verify without this node")
    .addHelpText(
      "after",
      "\nExample:\n  writ run export r_… evidence.writ && writ ledger verify evidence.writ",
    )
    .action(act(exportRun));
  program
    .command("why <id> <step>")
    .description("the causes of a step, back to the event, the words and the people who agreed")
    .action(act(why));
}

async function replay(context: Context, id: string, { to }: { readonly to?: string }): Promise<ExitCode> {
  const answer = await context.client.call("replayRun", {
    params: { run: id },
    query: to === undefined ? {} : { to: Number(to) },
  });
  return context.answer(answer, renderReplay, answer.agrees ? exitCodes.ok : exitCodes.refused);
}

async function diff(context: Context, a: string, b: string): Promise<ExitCode> {
  const answer = await context.client.call("diffRuns", { params: { run: a, other: b } });
  return context.answer(answer, renderRunDiff);
}

async function why(context: Context, id: string, step: string): Promise<ExitCode> {
  const answer = await context.client.call("whyStep", { params: { run: id, step } });
  return context.answer(answer, renderWhy);
}

async function exportRun(context: Context, id: string, file: string | undefined): Promise<ExitCode> {
  const answer = await context.client.call("exportRun", { params: { run: id } });
  const { bytes, ...told } = answer;
  const to = path.resolve(context.terminal.folder, file ?? answer.name);
  try {
    // Never over another file: evidence is not replaced.
    writeFileSync(to, fromBase64(bytes), { flag: "wx" });
  } catch (error) {
    if (existsSync(to))
      throw fault("command.file-exists", `Cannot write \`${to}\`: it exists`, { file: to }, error);
    throw fault("command.file-write", `Cannot write \`${to}\``, { file: to }, error);
  }
  return context.answer(
    { ...told, file: to },
    (shown) =>
      `${shown.entries} entries in ${shown.file} (${shown.sizeBytes} bytes), below a tree of ${shown.treeSize}` +
      (shown.blobsMissing === 0 ? "" : `; ${shown.blobsMissing} large values are named by their hash only`) +
      `\nverify it anywhere: writ ledger verify ${shellWord(shown.file)}`,
  );
}

/** Checks an exported run with nothing but the file. */
export function verifyFile(context: Context, file: string): ExitCode {
  const report: ExportReport = verifyRunExport(readBytes(context, file), {
    hasher: nodeHasher,
    verify: verifySignature,
  });
  const { entries, ...told } = report;
  return context.answer(
    { ...told, entries: entries.length },
    renderExportReport,
    report.bad === null ? exitCodes.ok : exitCodes.refused,
  );
}
