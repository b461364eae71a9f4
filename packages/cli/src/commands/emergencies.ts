import type { Emergency, EmergencyScope } from "@writ/core/api";
import type { Command } from "commander";
import type { Context } from "../context.ts";
import type { ExitCode } from "../exit-codes.ts";
import { fault } from "../faults.ts";
import { table, time } from "../render/layout.ts";
import { scopeText } from "../render/emergency.ts";
import type { Act } from "../run.ts";

interface StopOptions {
  readonly workspace?: string;
  readonly everything?: boolean;
  readonly reason: string;
}

export function addEmergencyCommands(program: Command, act: Act): void {
  program
    .command("stop-all [target]")
    .description(
      "emergency stop: cancel what waits on a target and begin nothing there until an owner clears it",
    )
    .option("--workspace <name>", "everything of this workspace")
    .option("--everything", "every effect of this node")
    .requiredOption("--reason <text>", "kept in the ledger")
    .addHelpText(
      "after",
      '\nExamples:\n  writ stop-all valve-1 --reason "water in the hall"\n  writ stop-all --everything --reason "smoke"',
    )
    .action(act(stopAll));
  const emergency = program.command("emergency").description("emergency stops in force: list, clear");
  emergency
    .command("list")
    .description("emergency stops in force")
    .action(
      act(async (context) => {
        const { stops } = await context.client.call("listEmergencyStops", {});
        return context.answer(stops, renderStops);
      }),
    );
  emergency
    .command("clear <stop>")
    .description("end an emergency stop; what it cancelled does not come back")
    .option("--reason <text>", "kept in the ledger")
    .action(
      act(async (context, stop: string, { reason }: { readonly reason?: string }) => {
        const answer = await context.client.call("clearEmergencyStop", {
          params: { stop },
          body: reason === undefined ? {} : { reason },
        });
        return context.answer(
          answer,
          (shown) => `cleared ${shown.stop}: ${scopeText(shown.scope)} may go on`,
        );
      }),
    );
}

async function stopAll(
  context: Context,
  target: string | undefined,
  options: StopOptions,
): Promise<ExitCode> {
  const body = { scope: scopeOf(target, options), reason: options.reason };
  const answer = await context.client.call("emergencyStop", { body });
  return context.answer(answer, (shown) =>
    [
      `stopped ${scopeText(shown.scope)} under ${shown.stop}`,
      `  cancelled  ${listed(shown.cancelled)}`,
      `  under way  ${listed(shown.underWay)}`,
      `An owner clears it with \`writ emergency clear ${shown.stop}\`.`,
    ].join("\n"),
  );
}

/** @throws command.stop-scope unless exactly one thing is named */
function scopeOf(target: string | undefined, { workspace, everything }: StopOptions): EmergencyScope {
  const scopes: EmergencyScope[] = [
    ...(target === undefined ? [] : [{ kind: "target", name: target } as const]),
    ...(workspace === undefined ? [] : [{ kind: "workspace", name: workspace } as const]),
    ...(everything === true ? [{ kind: "everything" } as const] : []),
  ];
  const [scope] = scopes;
  if (scope !== undefined && scopes.length === 1) return scope;
  throw fault("command.stop-scope", `Cannot stop: ${scopes.length} things are named, not one`, {
    named: scopes.map(scopeText),
  });
}

function listed(steps: readonly { readonly run: string; readonly step: string }[]): string {
  return steps.length === 0 ? "nothing" : steps.map(({ run, step }) => `${step} of ${run}`).join(", ");
}

function renderStops(stops: readonly Emergency[]): string {
  if (stops.length === 0) return "No emergency stop is in force.";
  return table(
    ["id", "stopped", "by", "since", "reason"],
    stops.map((stop) => [stop.stop, scopeText(stop.scope), stop.by, time(stop.atMs), stop.reason]),
  );
}
