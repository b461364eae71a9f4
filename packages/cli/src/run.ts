// The `writ` command: reads the command line, runs one command, says its exit code.
//   O1  A fault is printed on standard error with code, message, facts and remedy; nothing of it goes to standard output.
//   O2  With --json standard output holds one JSON document, or nothing when the command fails.
//   O3  Text from outside never steers the terminal and never passes for a line of ours.
import { faultRecord, type FaultRecord } from "@writ/core/fault";
import { printableJson, printableLine } from "@writ/core/printable";
import { Command, CommanderError } from "commander";
import { addApprovalCommands } from "./commands/approvals.ts";
import { addCatalogCommands } from "./commands/catalog.ts";
import { addCountdownCommands } from "./commands/countdowns.ts";
import { addEmergencyCommands } from "./commands/emergencies.ts";
import { addLedgerCommands } from "./commands/ledger.ts";
import { addNodeCommands } from "./commands/node.ts";
import { addPeopleCommands } from "./commands/people.ts";
import { addProgramCommands } from "./commands/programs.ts";
import { addRunCommands } from "./commands/runs.ts";
import { addMemoryCommands } from "./commands/memory.ts";
import { addWebhookCommands } from "./commands/webhooks.ts";
import { addWorkspaceCommands } from "./commands/workspaces.ts";
import { openContext, type Context } from "./context.ts";
import { exitCodeHelp, exitCodeOf, exitCodes, type ExitCode } from "./exit-codes.ts";
import type { Flags } from "./settings.ts";
import { marked } from "./render/outside.ts";
import type { Terminal } from "./terminal.ts";
import { version } from "./version.ts";

/** Turns the body of a command into what commander calls, and keeps its exit code. */
export type Act = <Args extends readonly unknown[]>(
  body: (context: Context, ...args: Args) => Promise<ExitCode>,
) => (...args: Args) => Promise<void>;

export async function run(args: readonly string[], terminal: Terminal): Promise<ExitCode> {
  let code: ExitCode = exitCodes.ok;
  const program = new Command("writ");
  const act: Act =
    (body) =>
    async (...args) => {
      code = await body(openContext(program.opts<Flags>(), terminal), ...args);
    };
  describe(program, terminal);
  for (const add of [
    addProgramCommands,
    addRunCommands,
    addApprovalCommands,
    addCountdownCommands,
    addEmergencyCommands,
    addPeopleCommands,
    addWorkspaceCommands,
    addMemoryCommands,
    addWebhookCommands,
    addCatalogCommands,
    addLedgerCommands,
    addNodeCommands,
  ]) {
    add(program, act);
  }
  inherit(program);
  try {
    await program.parseAsync([...args], { from: "user" });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
    const record = faultRecord(error) ?? bugOf(error);
    terminal.error(renderFailure(record));
    return exitCodeOf(record);
  }
}

function describe(program: Command, terminal: Terminal): void {
  program
    .description("Sentences and plans that are proven, signed, undone when they fail, and recorded.")
    .version(version)
    .option("--url <url>", "address of the node (WRIT_URL; default http://127.0.0.1:3000)")
    .option("--token <token>", "whose request it is (WRIT_TOKEN; saved by `writ login`)")
    .option("--data <folder>", "data folder of the node on this machine (WRIT_DATA; default ~/.writ)")
    .option("--json", "answer as one JSON document")
    .configureOutput({
      writeOut: (text) => terminal.out(text),
      writeErr: (text) => terminal.error(text),
    })
    .showHelpAfterError("(add --help for how it is used)")
    .addHelpText(
      "after",
      `
A hash may be written as a unique prefix of at least 8 digits, a file as \`-\` for standard input.

Examples:
  writ compile examples/invoices.en.rule
  writ approve 3f9c1a20 && writ deploy 3f9c1a20
  writ approvals approve a_0123abcd --comment "checked against the order"
  writ runs --status held --json

${exitCodeHelp}
`,
    );
}

/** Sub-commands print and end as the whole command does. */
function inherit(program: Command): void {
  program.exitOverride();
  const pending = [...program.commands];
  for (let command = pending.pop(); command !== undefined; command = pending.pop()) {
    command.copyInheritedSettings(program).exitOverride();
    pending.push(...command.commands);
  }
}

export function renderFailure(fault: FaultRecord): string {
  const facts = Object.entries(fault.facts).map(
    ([name, value]) =>
      `  ${printableLine(name)}: ${typeof value === "string" ? marked(value) : printableJson(value)}`,
  );
  const [code, message, remedy] = [fault.code, fault.message, fault.remedy].map(printableLine);
  return [`${code}: ${message}`, ...facts, remedy, ""].join("\n");
}

function bugOf(error: unknown): FaultRecord {
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return {
    code: "command.bug",
    kind: "broken",
    message: error instanceof Error ? error.message : String(error),
    remedy: "This is a defect of the `writ` command; nothing was lost. Report it with the command you ran.",
    facts: { stack },
  };
}
