import path from "node:path";
import { writeFileSync } from "node:fs";
import {
  Envelope,
  type BodyOf,
  type CompileOutcome,
  type ProgramState,
  type ProgramSummary,
  type QueryOf,
} from "@writ/core/api";
import { printableJson } from "@writ/core/printable";
import { parse } from "@writ/core/schema";
import type { Command } from "commander";
import { parseJson, readInput, wholeHash, type Context } from "../context.ts";
import { exitCodes, type ExitCode } from "../exit-codes.ts";
import { paragraphs } from "../render/layout.ts";
import { renderOutcome, renderProgram, renderPrograms, renderSummary } from "../render/program.ts";
import { renderPreview } from "../render/run.ts";
import type { Act } from "../run.ts";

interface CompileOptions {
  readonly language?: "en" | "fr";
  readonly workspace?: string;
  readonly name?: string;
  readonly plan?: boolean;
  readonly program?: boolean;
  readonly replaces?: string;
}

export function addProgramCommands(program: Command, act: Act): void {
  program.commandsGroup("Programs:");
  program
    .command("compile <file>")
    .description(
      "compile and prove a rule, a plan (a file that ends in .json) or a program (.program.json) without running anything",
    )
    .option("--language <language>", "en or fr; both are tried otherwise")
    .option("--workspace <name>", "the only workspace otherwise")
    .option("--name <name>", "the file's name otherwise")
    .option(
      "--replaces <hash>",
      "a deployed version that it is to replace; it is not proved against that one",
    )
    .option("--plan", "read it as a plan, whatever its name")
    .option("--program", "read it as a program written as JSON, whatever its name")
    .addHelpText(
      "after",
      "\nExamples:\n  writ compile examples/invoices.en.rule\n  echo '…' | writ compile - --language fr",
    )
    .action(act(compile));
  program
    .command("preview <hash> <event>")
    .description("show what a run would do, without any effect")
    .addHelpText(
      "after",
      `
EVENT is the event's data: JSON, or a .json file, or the path of a file in the workspace that has arrived.

Examples:
  writ preview 3f9c1a20 inbox/high-machine-parts.csv
  writ preview 3f9c1a20 '{"path":"inbox/a.csv","name":"a.csv"}'`,
    )
    .action(act(preview));
  program
    .command("approve <hash>")
    .description("approve exactly this program and have the node sign it")
    .option("--comment <text>", "kept in the ledger")
    .action(
      act((context, hash: string, { comment }: { readonly comment?: string }) =>
        change(context, "approveProgram", hash, comment === undefined ? {} : { comment }),
      ),
    );
  program
    .command("deploy <hash>")
    .description("verify signature, keys, revocations and proof, then arm the trigger")
    .option("--replaces <hash>", "undeploy this version in the same commit; its runs finish on it")
    .option("--migrate", "with --replaces: move its runs whose begun steps are the same in both")
    .action(act(deploy));
  program
    .command("undeploy <hash>")
    .description("disarm the trigger for good; runs under way go on")
    .option("--reason <text>", "kept in the ledger")
    .action(
      act((context, hash: string, { reason }: { readonly reason?: string }) =>
        change(context, "undeployProgram", hash, reason === undefined ? {} : { reason }),
      ),
    );
  program
    .command("pause <hash>")
    .description(
      "start no further runs until it is resumed; what arrives meanwhile is recorded and starts nothing",
    )
    .addHelpText(
      "after",
      `
Runs under way go on. Files that arrive while it is paused are recorded in the ledger and start no run, neither now nor after
\`writ resume\`: start them by hand with \`writ run start HASH inbox/FILE\`.`,
    )
    .action(act((context, hash: string) => change(context, "pauseProgram", hash, {})));
  program
    .command("resume <hash>")
    .description("start runs again, for what arrives from now on")
    .addHelpText(
      "after",
      `
Files that arrived while it was paused are recorded in the ledger and start nothing now: start them by hand with
\`writ run start HASH inbox/FILE\`.`,
    )
    .action(act((context, hash: string) => change(context, "resumeProgram", hash, {})));
  program
    .command("programs [hash]")
    .description("list the programs of the node, or show one with its graph and proof")
    .option("--state <state>", "compiled, refused, approved, deployed, paused, undeployed or broken")
    .action(act(programs));
  program
    .command("certificate <hash>")
    .description("the whole proof, with every question asked of the solver (JSON)")
    .action(
      act(async (context, hash: string) => {
        const certificate = await context.client.call("getCertificate", {
          params: { hash: await wholeHash(context, hash) },
        });
        return context.answer(certificate, () => printableJson(certificate, 2));
      }),
    );
  program
    .command("export <hash> [file]")
    .description("the signed program as a DSSE envelope (JSON)")
    .action(act(exportProgram));
  program
    .command("import <file>")
    .description("take in a signed program: its signatures are verified and it is proven here")
    .option("--workspace <name>", "the only workspace otherwise")
    .action(act(importProgram));
}

async function compile(context: Context, file: string, options: CompileOptions): Promise<ExitCode> {
  const outcome = await compileFile(context, file, options);
  const code = outcome.kind === "compiled" ? exitCodes.ok : exitCodes.refused;
  return context.answer(outcome, renderOutcome, code);
}

export async function compileFile(
  context: Context,
  file: string,
  options: CompileOptions,
): Promise<CompileOutcome> {
  const body: { -readonly [Key in keyof BodyOf<"compileProgram">]: BodyOf<"compileProgram">[Key] } = {
    kind: kindOf(file, options),
    text: await readInput(context, file),
  };
  if (options.language !== undefined) body.language = options.language;
  if (options.workspace !== undefined) body.workspace = options.workspace;
  if (options.replaces !== undefined) body.replaces = await wholeHash(context, options.replaces);
  // A program written as JSON says its own name.
  const ownName = file === "-" || body.kind === "program" ? undefined : path.basename(file);
  const name = options.name ?? ownName;
  if (name !== undefined) body.name = name;
  return context.client.call("compileProgram", { body });
}

function kindOf(file: string, options: CompileOptions): "rule" | "plan" | "program" {
  if (options.program === true) return "program";
  if (options.plan === true) return "plan";
  if (file.endsWith(".program.json")) return "program";
  return file.endsWith(".json") ? "plan" : "rule";
}

async function preview(context: Context, hash: string, event: string): Promise<ExitCode> {
  const answer = await context.client.call("previewProgram", {
    params: { hash: await wholeHash(context, hash) },
    body: { data: await eventData(context, event) },
  });
  const code = answer.outcome === "failed" ? exitCodes.refused : exitCodes.ok;
  return context.answer(answer, renderPreview, code);
}

type EventData = BodyOf<"previewProgram">["data"];

/** JSON as it stands; a .json file; anything else is the path of a file that has arrived. @throws command.json, command.file */
export async function eventData(context: Context, text: string): Promise<EventData> {
  if (text.trimStart().startsWith("{")) return parseJson(text, "the event") as EventData;
  if (text === "-" || text.endsWith(".json")) {
    return parseJson(await readInput(context, text), `the event in \`${text}\``) as EventData;
  }
  const place = text.replace(/^\.\//, "");
  return { path: place, name: path.posix.basename(place), folder: path.posix.dirname(place) };
}

async function deploy(
  context: Context,
  hash: string,
  { replaces, migrate }: { readonly replaces?: string; readonly migrate?: boolean },
): Promise<ExitCode> {
  const body = {
    ...(replaces === undefined ? {} : { replaces: await wholeHash(context, replaces) }),
    ...(migrate === true ? { migrate } : {}),
  };
  const deployed = await context.client.call("deployProgram", {
    params: { hash: await wholeHash(context, hash) },
    body,
  });
  return context.answer(
    deployed,
    ({ runs, ...summary }) =>
      paragraphs(
        renderSummary(summary),
        runs === undefined ? "" : `${runs.migrated.length} runs moved: ${runs.migrated.join(", ") || "none"}`,
        (runs?.stay ?? []).map(({ run, reason }) => `${run} stays: ${reason}`).join("\n"),
      ),
    codeOfProgram(deployed),
  );
}

type Change = "approveProgram" | "undeployProgram" | "pauseProgram" | "resumeProgram";

async function change<Name extends Change>(
  context: Context,
  name: Name,
  hash: string,
  body: Readonly<Record<string, string>>,
): Promise<ExitCode> {
  const params = { hash: await wholeHash(context, hash) };
  const summary = await context.client.call<Change>(name, { params, body });
  return context.answer(
    summary,
    (shown) => paragraphs(renderSummary(shown), noteOf[name] ?? ""),
    codeOfProgram(summary),
  );
}

const noteOf: Readonly<Partial<Record<Change, string>>> = {
  pauseProgram: "What arrives from now on is recorded and starts nothing, also not after `writ resume`.",
  resumeProgram:
    "What arrived while it was paused was recorded and starts nothing: `writ run start HASH inbox/FILE` starts it by hand.",
};

/** A program that is broken is not armed: it does nothing of what was asked for. */
function codeOfProgram({ state }: ProgramSummary): ExitCode {
  return state === "broken" ? exitCodes.refused : exitCodes.ok;
}

async function programs(
  context: Context,
  hash: string | undefined,
  { state }: { readonly state?: ProgramState },
): Promise<ExitCode> {
  if (hash !== undefined) {
    const program = await context.client.call("getProgram", { params: { hash } });
    return context.answer(program, renderProgram);
  }
  const query: NonNullable<QueryOf<"listPrograms">> = state === undefined ? {} : { state };
  const answer = await context.client.call("listPrograms", { query });
  return context.answer(answer.programs, renderPrograms);
}

async function exportProgram(context: Context, hash: string, file: string | undefined): Promise<ExitCode> {
  const envelope = await context.client.call("exportProgram", {
    params: { hash: await wholeHash(context, hash) },
  });
  const text = printableJson(envelope, 2);
  if (file === undefined) return context.answer(envelope, () => text);
  const target = path.resolve(context.terminal.folder, file);
  writeFileSync(target, `${text}\n`, { flag: "wx" });
  return context.answer({ file: target }, (written) => `written to ${written.file}`);
}

async function importProgram(
  context: Context,
  file: string,
  { workspace }: { readonly workspace?: string },
): Promise<ExitCode> {
  const envelope = parse(Envelope, parseJson(await readInput(context, file), `\`${file}\``), `\`${file}\``);
  const body = workspace === undefined ? { envelope } : { envelope, workspace };
  const summary = await context.client.call("importProgram", { body });
  return context.answer(summary, renderSummary, codeOfProgram(summary));
}
