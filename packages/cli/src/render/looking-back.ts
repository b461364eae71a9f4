import type { RunDiff, Why } from "@writ/core/api";
import type { ExportReport } from "@writ/core/run-export";
import { brief, indent, paragraphs, section, shortHash, time } from "./layout.ts";
import { renderRunSummary } from "./run.ts";

export function renderRunDiff(diff: RunDiff): string {
  const same = diff.steps.length === 0 && diff.event.length === 0 && diff.result.length === 0;
  return paragraphs(
    `a ${renderRunSummary(diff.a)}\nb ${renderRunSummary(diff.b)}\n` +
      (diff.sameProgram ? "the same program" : "different programs"),
    same ? "nothing differs" : "",
    section("Event", renderChanges(diff.event)),
    diff.first === null ? "" : `first difference: ${diff.first}`,
    ...diff.steps.map((step) =>
      paragraphs(
        `${step.step}: ${step.a ?? "not there"} → ${step.b ?? "not there"}`,
        indent(renderChanges(step.changes)),
      ),
    ),
    section("End", renderChanges(diff.result)),
  );
}

function renderChanges(changes: RunDiff["event"]): string {
  return changes
    .map(({ at, kind, before, after }) => {
      const place = at === "" ? "the whole" : at;
      if (kind === "added") return `+ ${place} = ${brief(after)}`;
      if (kind === "removed") return `- ${place} = ${brief(before)}`;
      return `~ ${place}: ${brief(before)} → ${brief(after)}`;
    })
    .join("\n");
}

export function renderWhy(why: Why): string {
  const links = why.links.map(({ kind, text, excerpt, seq, hash, atMs, by }) => {
    const entry = seq === null ? "" : `  [entry ${seq}${hash === null ? "" : ` ${shortHash(hash)}`}]`;
    const when = atMs === null ? "" : `  ${time(atMs)}`;
    const who = by === null ? "" : ` by ${by}`;
    const head = `${kind.padEnd(8)}  ${text}${who}${when}${entry}`;
    return excerpt === null ? head : `${head}\n${indent(excerpt)}`;
  });
  return paragraphs(`${why.run} ${why.step}: ${why.state}, because`, links.join("\n"));
}

export function renderExportReport(
  report: Omit<ExportReport, "entries"> & { readonly entries: number },
): string {
  const { bad, node, run, entries, treeSize, status, simulated, blobsMissing } = report;
  if (bad !== null) return `NOT TO BE TRUSTED\n${bad}`;
  return paragraphs(
    `intact: run ${run ?? ""} of node ${node ?? ""}, ${simulated ? "SIMULATED " : ""}${status ?? "not ended yet"}; ${entries} entries below a signed tree of ${treeSize}`,
    "the node's id commits to its keys: compare it with the one its owner gives you (`writ status` there)",
    blobsMissing.length === 0
      ? ""
      : section("Named, but not in the file", blobsMissing.slice(0, 20).join("\n")),
    "what the run did after its last entry here is not in the file",
  );
}
