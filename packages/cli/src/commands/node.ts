import type { RunDetail, Status } from "@writ/core/api";
import { faultRecord } from "@writ/core/fault";
import { openClient } from "@writ/sdk/client";
import type { Command } from "commander";
import type { Context } from "../context.ts";
import { exitCodes, type ExitCode } from "../exit-codes.ts";
import { fault } from "../faults.ts";
import { indent, paragraphs, section, shortHash, time } from "../render/layout.ts";
import { renderLines, renderLoad } from "../render/schedule.ts";
import { renderFault, renderHeld } from "../render/run.ts";
import { renderEmergency } from "../render/emergency.ts";
import type { Act } from "../run.ts";
import { saveToken, type Settings } from "../settings.ts";
import { version } from "../version.ts";
import { runServerCommand } from "./local.ts";
import { serveMcp } from "./mcp.ts";

const nodeMajorMin = 24;
const clockSkewMsMax = 5000;
/** Held runs that `status` names; the others are counted. */
const heldShownMax = 20;

export function addNodeCommands(program: Command, act: Act): void {
  program.commandsGroup("The node:");
  program
    .command("status")
    .description("what the node is doing and what needs attention")
    .action(act(status));
  program
    .command("doctor")
    .description("what this command uses, where each value comes from, and what is wrong with it")
    .action(act(doctor));
  program
    .command("login [token]")
    .description(
      "check a token and save it for this user (mode 0600); read from standard input when left out",
    )
    .action(act(login));
  program
    .command("token")
    .description("tokens on the machine itself")
    .command("new")
    .description("make a new token for somebody, on the node's own machine, whether the node runs or not")
    .option("--person <id>", "whose", "owner")
    .action(
      act((context, { person }: { readonly person: string }) =>
        runServerCommand(context, ["token", "new", "--person", person]),
      ),
    );
  program
    .command("mcp")
    .description("serve the Model Context Protocol on standard input and output, for a model's client")
    .addHelpText(
      "after",
      '\nExample, in a client\'s configuration:\n  { "command": "/path/to/writ/bin/writ", "args": ["mcp"], "env": { "WRIT_TOKEN": "…" } }',
    )
    .action(act(serveMcp));
}

async function status(context: Context): Promise<ExitCode> {
  const found = await context.client.call("status", {});
  const held: RunDetail[] = [];
  if (found.runs.held > 0) {
    const { runs } = await context.client.call("listRuns", {
      query: { status: "held", limit: heldShownMax },
    });
    for (const { id } of runs) held.push(await context.client.call("getRun", { params: { run: id } }));
  }
  return context.answer({ ...found, held }, renderStatus);
}

function renderStatus(found: Status & { readonly held: readonly RunDetail[] }): string {
  const more = found.runs.held - found.held.length;
  return paragraphs(
    [
      `node ${found.node}, version ${found.version}, since ${time(found.startedAtMs)}`,
      `data ${found.data}`,
      `ledger ${found.ledger.seq + 1} entries, ${found.ledger.durableSeq + 1} durable, head ${shortHash(found.ledger.hash)}`,
      `runs ${found.runs.active} active, ${found.runs.waiting} waiting, ${found.runs.held} held`,
      renderLoad(found.schedule),
      `programs ${found.programs.deployed} deployed, ${found.programs.paused} paused, ${found.programs.broken} broken`,
      `approvals waiting ${found.approvalsWaiting}`,
      `workspaces ${found.workspaces.join(", ") || "none"}; policy ${shortHash(found.policy)}`,
    ].join("\n"),
    section("Waiting", renderLines(found.schedule)),
    section(
      "Needs attention",
      [
        ...(found.emergencyStops ?? []).map(renderEmergency),
        ...found.problems.map((problem) => `${problem.what}: ${renderFault(problem.fault)}`),
        ...found.held.map((run) => `run ${run.id} of ${run.programName} is held\n${indent(renderHeld(run))}`),
        ...(more > 0 ? [`${more} more runs are held: writ runs --status held`] : []),
      ].join("\n"),
    ),
  );
}

async function login(context: Context, given: string | undefined): Promise<ExitCode> {
  let token = given ?? "";
  if (given === undefined) for await (const part of context.terminal.input()) token += part;
  token = token.trim();
  if (token === "") throw fault("command.file", "Cannot save an empty token");
  const client = openClient({ url: context.settings.url, token });
  await client.call("status", {});
  const file = saveToken(client.url, token, context.terminal);
  return context.answer({ url: client.url, file }, (saved) => `saved for ${saved.url} in ${saved.file}`);
}

interface Finding {
  readonly what: string;
  readonly value: string;
  readonly origin: string;
  readonly problem: string | null;
}

async function doctor(context: Context): Promise<ExitCode> {
  const findings = [...ownFindings(context.settings), ...(await nodeFindings(context))];
  const isWell = findings.every((finding) => finding.problem === null);
  return context.answer(
    findings,
    (shown) =>
      shown
        .map(({ what, value, origin, problem }) => {
          const line = `${problem === null ? "ok     " : "PROBLEM"} ${what}: ${value}${origin === "" ? "" : ` (${origin})`}`;
          return problem === null ? line : `${line}\n        ${problem}`;
        })
        .join("\n"),
    isWell ? exitCodes.ok : exitCodes.refused,
  );
}

function ownFindings(settings: Settings): readonly Finding[] {
  const major = Number.parseInt(process.versions.node, 10);
  return [
    {
      what: "runs on",
      value: `Node ${process.versions.node}, ${process.platform} ${process.arch}`,
      origin: "",
      problem: major >= nodeMajorMin ? null : `Node ${nodeMajorMin} is needed: run \`npm ci\` in the clone.`,
    },
    { what: "writ", value: version, origin: "", problem: null },
    { what: "url", value: settings.url, origin: settings.urlOrigin, problem: null },
    {
      what: "token",
      value: settings.token === undefined ? "none" : masked(settings.token),
      origin: settings.tokenOrigin,
      problem:
        settings.token === undefined
          ? "Save one with `writ login TOKEN`; a lost one is replaced with `writ token new`."
          : null,
    },
    {
      what: "data folder",
      value: settings.data,
      origin: settings.dataOrigin,
      problem: null,
    },
  ];
}

async function nodeFindings(context: Context): Promise<readonly Finding[]> {
  try {
    await context.client.call("health", {});
    const found = await context.client.call("status", {});
    const skewMs = Math.abs(found.nowMs - Date.now());
    return [
      {
        what: "node",
        value: `${found.node}, version ${found.version}`,
        origin: "",
        problem:
          found.version === version
            ? null
            : `This command is version ${version}: use one version on both sides.`,
      },
      {
        what: "clock",
        value: `${skewMs} ms apart`,
        origin: "",
        problem: skewMs <= clockSkewMsMax ? null : "Set both clocks; approvals expire by the node's.",
      },
      ...found.problems.map((problem) => ({
        what: problem.what,
        value: `${problem.fault.code}: ${problem.fault.message}`,
        origin: "",
        problem: problem.fault.remedy,
      })),
    ];
  } catch (error) {
    const record = faultRecord(error);
    if (record === undefined) throw error;
    return [{ what: "node", value: record.message, origin: "", problem: record.remedy }];
  }
}

/** The part of a token that names its key; the secret part stays out of sight. */
function masked(token: string): string {
  const key = /^(writ_[0-9a-f]{16})_/.exec(token)?.[1];
  return `${key ?? token.slice(0, 4)}_…`;
}
