import path from "node:path";
import type { ApiEntry, LedgerReport, ResponseOf } from "@writ/core/api";
import { printableJson } from "@writ/core/printable";
import { streamEntries } from "@writ/sdk/entries";
import { InvalidArgumentError, type Command } from "commander";
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
    .option("--archive <folder>", "read from there what was pruned, and verify all of it")
    .action(
      act((context, file: string | undefined, { archive }: { readonly archive?: string }) =>
        file === undefined ? verify(context, archive) : Promise.resolve(verifyFile(context, file)),
      ),
    );
  ledger
    .command("archive <folder>")
    .description(
      "copy whole old segments to a folder on the node's machine, where they verify with the ledger",
    )
    .option("--before <when>", "an entry's number, or a day (2026-01-31)", before)
    .action(act(archiveSegments));
  ledger
    .command("prune")
    .description(
      "take entries that nobody needs any more out of old segments; says first what would go, and does it with --yes",
    )
    .requiredOption("--before <when>", "an entry's number, or a day (2026-01-31)", before)
    .option("--archive <folder>", "copy whole segments there first")
    .option("--yes", "do it")
    .action(act(prune));
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

type Before = { readonly beforeSeq: number } | { readonly beforeMs: number };

/** A number is an entry, anything else a day or time. */
function before(when: string): Before {
  if (/^\d{1,15}$/.test(when)) return { beforeSeq: Number(when) };
  const beforeMs = /^\d{4}-\d{2}-\d{2}/.test(when) ? Date.parse(when) : Number.NaN;
  if (Number.isNaN(beforeMs))
    throw new InvalidArgumentError("expected an entry's number or a day such as 2026-01-31");
  return { beforeMs };
}

async function archiveSegments(
  context: Context,
  folder: string,
  options: { readonly before?: Before },
): Promise<ExitCode> {
  const answer = await context.client.call("archiveLedger", {
    body: {
      folder: path.resolve(context.terminal.folder, folder),
      ...options.before,
    },
  });
  return context.answer(
    answer,
    ({ segments, entries, folder: written }) => `${segments} segments with ${entries} entries in ${written}`,
  );
}

async function prune(
  context: Context,
  options: { readonly before: Before; readonly archive?: string; readonly yes?: boolean },
): Promise<ExitCode> {
  const archive =
    options.archive === undefined ? null : path.resolve(context.terminal.folder, options.archive);
  const answer = await context.client.call("pruneLedger", {
    body: { ...options.before, archive, dryRun: options.yes !== true },
  });
  return context.answer(answer, renderPruned);
}

function renderPruned(answer: ResponseOf<"pruneLedger">): string {
  const { dryRun, segments, entries, kept, runs, freedBytes, blobs, firstSeq, lastSeq, archive } = answer;
  if (segments === 0 || firstSeq === null)
    return "nothing to prune: no old segment holds anything that may go";
  const what =
    `${entries} entries of ${runs} runs in ${segments} segments (entries ${firstSeq} to ${lastSeq}); ` +
    `${kept} entries of them stay; ${freedBytes} bytes and ${dryRun ? "up to " : ""}${blobs} blobs`;
  const where = archive === null ? "there is no archive: what goes is gone" : `whole segments in ${archive}`;
  return dryRun
    ? `would go: ${what}\n${where}\nnothing was changed; add --yes to do it`
    : `pruned: ${what}\n${where}`;
}

async function verify(context: Context, archive: string | undefined): Promise<ExitCode> {
  const report = await context.client.call("verifyLedger", {
    body: archive === undefined ? {} : { archive: path.resolve(context.terminal.folder, archive) },
  });
  const code = report.kind === "intact" ? exitCodes.ok : exitCodes.refused;
  return context.answer(report, renderReport, code);
}

export function renderReport(report: LedgerReport): string {
  switch (report.kind) {
    case "intact":
      return (
        `intact: ${report.entries} entries, ${report.runs} runs, ${report.checkpoints} checkpoints, ` +
        `${report.blobs} blobs (${Math.round(report.elapsedMs)} ms)` +
        (report.pruned === undefined ? "" : `\nof them ${report.pruned} were pruned, as the ledger records`) +
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
