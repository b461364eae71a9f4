import type { Approval, Preview, Replay, RunDetail, RunStarted, RunStatus, RunSummary } from "@writ/core/api";
import { renderBreakpoints, renderChanged, renderIntercepted } from "./control.ts";
import { renderEffect } from "./effect.ts";
import { brief, duration, indent, paragraphs, section, shortHash, table, time } from "./layout.ts";

export function renderRuns(runs: readonly RunSummary[]): string {
  if (runs.length === 0) return "no runs";
  return table(
    ["run", "status", "program", "name", "event", "started", "ended"],
    runs.map((run) => [
      run.id,
      run.status,
      shortHash(run.program),
      run.programName,
      run.event.subject ?? run.event.type,
      time(run.startedAtMs),
      time(run.endedAtMs),
    ]),
  );
}

/** Nobody takes what a simulation gave for what happened (K42). */
export function simulatedMark({ simulated }: { readonly simulated?: true }): string {
  return simulated === true ? "SIMULATED " : "";
}

export function renderRunSummary(run: RunSummary): string {
  return `${run.id}: ${simulatedMark(run)}${run.status} (${run.programName})`;
}

export function renderStarted(started: RunStarted): string {
  return paragraphs(
    `${started.run}: ${simulatedMark(started)}${started.status}`,
    renderFault(started.fault),
    started.result === null ? "" : `result ${brief(started.result, 2000)}`,
  );
}

export function renderRun(run: RunDetail): string {
  return paragraphs(
    `${run.id}: ${simulatedMark(run)}${run.status} (${run.programName}, ${shortHash(run.program)}, workspace ${run.workspace})`,
    `started ${time(run.startedAtMs)} by ${run.startedBy}, event ${run.event.type} ${brief(run.eventData)}` +
      (run.endedAtMs === null ? "" : `\nended ${time(run.endedAtMs)}`) +
      (run.parent === undefined ? "" : `\nstarted by step ${run.parent.step} of ${run.parent.run}`) +
      (run.children ?? []).map(({ step, run: child }) => `\nstep ${step} runs ${child}`).join("") +
      (run.forkedFrom === undefined
        ? ""
        : `\nforked from ${run.forkedFrom.run} after entry ${run.forkedFrom.seq}: what that had done is its own to undo`),
    renderFault(run.fault),
    section(
      "Steps",
      table(
        ["step", "op", "state", "attempt", "what"],
        run.steps.map((step) => [
          step.id,
          step.op,
          step.state,
          String(step.attempt),
          [
            step.label,
            ...(step.progress === undefined ? [] : [`progress ${brief(step.progress)}`]),
            ...(step.fault === null ? [] : [`${step.fault.code}: ${step.fault.message}`]),
          ].join("  "),
        ]),
      ),
    ),
    section("At a breakpoint", renderIntercepted(run)),
    section("Changed by people", renderChanged(run)),
    section("Breakpoints", renderBreakpoints(run)),
    section("Held for a person", renderHeld(run)),
    section(
      "Approvals",
      run.approvals
        .map((approval) => renderApproval(approval, run.endedAtMs === null ? null : run.status))
        .join("\n\n"),
    ),
    section("Entries", renderEntries(run)),
    run.result === null ? "" : `result ${brief(run.result, 2000)}`,
  );
}

const entriesShownMax = 60;

/** The newest; how many there are before them, and what shows those. */
function renderEntries({ id, entries, entriesCount }: RunDetail): string {
  const shown = entries.slice(-entriesShownMax);
  const before = entriesCount - shown.length;
  const lines = shown.map(({ seq, atMs, step, text }) => {
    const of = step === null ? "" : `${step}  `;
    return `${String(seq).padStart(6)}  ${time(atMs)}  ${of}${text}`;
  });
  return [...(before > 0 ? [`${before} before these: writ run replay ${id}`] : []), ...lines].join("\n");
}

/** Steps that a person must decide on, each with the command that does. */
export function renderHeld(run: RunDetail): string {
  return run.steps
    .map(({ id, held: why }) =>
      why === null
        ? ""
        : `${id} (${why.what}): ${why.reason}\n  writ run settle ${run.id} ${id} ${why.what === "undo" ? "done|again|leave" : "done|failed|again|skip"}`,
    )
    .filter((text) => text !== "")
    .join("\n");
}

export function renderApprovals(approvals: readonly Approval[]): string {
  return approvals.length === 0
    ? "nothing waits for approval"
    : approvals.map((approval) => renderApproval(approval)).join("\n\n");
}

/** `ended`: what became of its run, when that has ended: nobody is asked any more. */
export function renderApproval(approval: Approval, ended: RunStatus | null = null): string {
  const left = approval.expiresAtMs - approval.requestedAtMs;
  const isAsked = approval.state === "waiting" && ended === null;
  const asked = isAsked
    ? `must decide${approval.mayDecide ? " (you may)" : ""}`
    : `was asked; ${approval.state === "waiting" ? `nobody decided, the run is ${ended ?? ""}` : approval.state}`;
  const expiry = isAsked
    ? `; expires ${time(approval.expiresAtMs)} (${duration(left)} after it was asked for), then ${approval.onExpiry}`
    : "";
  return paragraphs(
    [
      `${approval.id}: ${approval.role} ${asked}`,
      `  run ${approval.run}, step ${approval.step} of ${approval.programName}${expiry}`,
      approval.message === "" ? "" : `  ${approval.message}`,
    ]
      .filter((line) => line !== "")
      .join("\n"),
    indent(approval.effects.map(renderEffect).join("\n")),
  );
}

export function renderPreview(preview: Preview): string {
  return paragraphs(
    `preview of ${shortHash(preview.program)}: ${preview.outcome}${preview.reason === null ? "" : ` (${preview.reason})`}; nothing was done`,
    ...preview.steps.map((step) =>
      [
        `${step.forecast.padEnd(10)}  ${step.id}: ${step.label}`,
        step.note === "" ? "" : `            ${step.note}`,
        step.effect === null ? "" : indent(renderEffect(step.effect), "            "),
        step.result === null ? "" : `            result ${brief(step.result)}`,
      ]
        .filter((line) => line !== "")
        .join("\n"),
    ),
    preview.result === null ? "" : `result ${brief(preview.result, 2000)}`,
  );
}

export function renderReplay(replay: Replay): string {
  return paragraphs(
    `${replay.run}: ${replay.status}; ${replay.entries} entries derived again without any effect: ` +
      (replay.agrees ? "every state as recorded" : "DIFFERS from the record"),
    section("Differences", replay.differences.join("\n")),
    replay.at === null ? "" : renderMoment(replay.at),
    section(
      "States",
      replay.states
        .map((state) => {
          const changed = state.changed.map(({ step, state: now }) => `${step} ${now}`).join(", ");
          const commands = state.commands.length === 0 ? "" : `  → ${state.commands.join(", ")}`;
          return `${String(state.seq).padStart(6)}  ${state.kind}${state.step === null ? "" : ` ${state.step}`}${changed === "" ? "" : `  ${changed}`}${commands}`;
        })
        .join("\n"),
    ),
  );
}

export function renderFault(
  fault: { readonly code: string; readonly message: string; readonly remedy: string } | null,
): string {
  return fault === null ? "" : `${fault.code}: ${fault.message}\n  ${fault.remedy}`;
}

/** Everything a run was at one entry. */
function renderMoment(at: NonNullable<Replay["at"]>): string {
  return paragraphs(
    `after entry ${at.seq}: ${at.status}`,
    section(
      "Steps then",
      table(
        ["step", "state", "attempt", "waits for"],
        at.steps.map((step) => [step.step, step.state, String(step.attempt), step.waitsFor ?? ""]),
      ),
    ),
    section(
      "Slots then",
      at.slots
        .map(({ name, value, labels }) => {
          const from = labels.length === 0 ? "" : `  (${labels.join(", ")})`;
          return `${name} = ${brief(value, 500)}${from}`;
        })
        .join("\n"),
    ),
    section("Next then", at.next.join("\n")),
  );
}
