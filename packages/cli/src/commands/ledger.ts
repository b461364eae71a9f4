import path from "node:path";
import type { ApiEntry, LedgerReport } from "@writ/core/api";
import { printableJson } from "@writ/core/printable";
import { streamEntries } from "@writ/sdk/entries";
import type { Command } from "commander";
import type { Context } from "../context.ts";
import { exitCodes, type ExitCode } from "../exit-codes.ts";
import { brief, shortHash, time } from "../render/layout.ts";
import { shown } from "../render/outside.ts";
import { renderFault } from "../render/run.ts";
import type { Act } from "../run.ts";
import { verifyFile } from "./looking-back.ts";
import { runServerCommand } from "./local.ts";

export function addLedgerCommands(program: Command, act: Act): void {
  program.commandsGroup("The record:");
  const ledger = program.command("ledger").description("the node's record: verify, show, follow");
  ledger
    .command("verify [file]")
    .description(
      "check every link, hash, checkpoint and blob as they are on disk; FILE: an exported run, checked here, without any node",
    )
    .action(
      act((context, file: string | undefined) =>
        file === undefined ? verify(context) : Promise.resolve(verifyFile(context, file)),
      ),
    );
  ledger
    .command("show")
    .description("entries in order")
    .option("--from <seq>", "first entry", "0")
    .option("--limit <count>", "at most so many", "100")
    .action(act(show));
  ledger
    .command("follow")
    .description("every entry once it is durable, until interrupted; one JSON document a line with --json")
    .option("--from <seq>", "first entry; from now on otherwise")
    .option("--run <id>", "of one run")
    .action(act(follow));
  program
    .command("backup <file>")
    .description("write a consistent copy of ledger, blobs and keys to a new file on the node's machine")
    .action(
      act(async (context, file: string) => {
        const answer = await context.client.call("backup", {
          body: { file: path.resolve(context.terminal.folder, file) },
        });
        return context.answer(
          answer,
          ({ entries, file: written, sizeBytes }) =>
            `${entries} entries in ${written} (${sizeBytes} bytes); it holds the node's keys: keep it safe`,
        );
      }),
    );
  program
    .command("restore <file>")
    .description("unpack a backup into an empty or new data folder (--data), with the node stopped")
    .action(
      act((context, file: string) =>
        runServerCommand(context, ["restore", path.resolve(context.terminal.folder, file)]),
      ),
    );
}

async function verify(context: Context): Promise<ExitCode> {
  const report = await context.client.call("verifyLedger", { body: {} });
  const code = report.kind === "intact" ? exitCodes.ok : exitCodes.refused;
  return context.answer(report, renderReport, code);
}

export function renderReport(report: LedgerReport): string {
  switch (report.kind) {
    case "intact":
      return (
        `intact: ${report.entries} entries, ${report.runs} runs, ${report.checkpoints} checkpoints, ` +
        `${report.blobs} blobs (${Math.round(report.elapsedMs)} ms)` +
        (report.head === null ? "" : `\nhead ${report.head.seq} ${report.head.hash}`)
      );
    case "damaged":
      return `damaged after ${report.entries} good entries\n${renderFault(report.fault)}\n  ${brief(report.fault.facts, 500)}`;
  }
}

async function show(
  context: Context,
  { from, limit }: { readonly from: string; readonly limit: string },
): Promise<ExitCode> {
  const answer = await context.client.call("readLedger", {
    query: { from: Number(from), limit: Number(limit) },
  });
  return context.answer(answer.entries, (entries) => entries.map(renderEntry).join("\n"));
}

async function follow(
  context: Context,
  { from, run }: { readonly from?: string; readonly run?: string },
): Promise<ExitCode> {
  const query = {
    ...(from === undefined ? {} : { from: Number(from) }),
    ...(run === undefined ? {} : { run }),
  };
  for await (const entry of streamEntries(context.client, query)) {
    context.terminal.out(`${context.json ? printableJson(entry) : renderEntry(shown(entry))}\n`);
  }
  return exitCodes.ok;
}

function renderEntry(entry: ApiEntry): string {
  const run = entry.run === null ? "" : ` ${entry.run}`;
  return `${String(entry.seq).padStart(6)}  ${time(entry.atMs)}  ${shortHash(entry.hash)}  ${entry.kind}${run}  ${brief(entry.facts)}`;
}
