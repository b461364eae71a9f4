// Check 32: a risky step is dominated by the approval of a person who was asked about that very step. Graph work: the approvals that the
// formula of reaching a step implies are its dominators; those it stands inside are the ones that showed it.
import type { Risk } from "@writ/core/capability";
import type { Expression } from "@writ/core/expression";
import type { Analysis, Site } from "../model/analysis.ts";
import { impliedChoices } from "../model/formula.ts";
import { counterexample, holds, violated, type Result } from "./result.ts";
import { usesOf, type Use } from "./effects.ts";

const base = {
  check: 32,
  name: "approval dominates risk",
  claim:
    "For all runs: a step of high or critical risk runs only inside an approval, so that a person saw and approved it in that run",
  method: "graph",
} as const;

export function checkApproval(analysis: Analysis): readonly Result[] {
  const found = analysis.sites.flatMap((site) => {
    const reason = riskOf(analysis, site);
    if (reason === null || isApproved(site)) return [];
    return [
      violated(
        base,
        "verifier.approval-missing",
        counterexample(analysis, {
          summary: `${sayStep(analysis, site)} can run without an approval that shows it, and ${reason}${advice(site)}`,
          path: site.path,
          keys: [site.step.id],
        }),
      ),
    ];
  });
  return found.length === 0 ? [holds(base)] : found;
}

/**
 * True when the step runs only inside an approval that was given: an approval shows what stands in it and nothing else, so one that was
 * asked for something before, or that shows the step but not what takes it back, is none for this.
 */
export function isApproved(site: Site): boolean {
  if (site.action?.isCompensation === true) return false;
  const given = impliedChoices(site.reach);
  // An approval shows nothing of what a program does that is called inside it: only one of that program's own does.
  const inner = site.path.slice(site.path.indexOf(site.calls.at(-1) ?? "") + 1);
  return inner.some((step) => given.has(`approved ${step}`));
}

function sayStep(analysis: Analysis, site: Site): string {
  const what = site.action?.isCompensation === true ? "What takes back step" : "Step";
  return `${what} \`${site.step.id}\` of “${analysis.name}”`;
}

function advice(site: Site): string {
  return site.action?.isCompensation === true
    ? ". No approval shows what takes a step back: leave that to the step's own undo"
    : "";
}

function riskOf(analysis: Analysis, site: Site): string | null {
  if (site.action === null) return null;
  const { risk, id } = site.action.definition;
  if (isHigh(risk)) return `\`${id}\` is of ${risk} risk`;
  for (const use of usesOf(analysis)) {
    if (use.site !== site || use.kind !== "host") continue;
    const host = hostOf(analysis, use);
    if (host === null) return `the host it sends to is not fixed`;
    if (host.risk === null) return `the host \`${host.name}\` is not in the workspace's list`;
    if (isHigh(host.risk)) return `the host \`${host.name}\` is of ${host.risk} risk`;
  }
  return null;
}

function isHigh(risk: string): risk is Risk {
  return risk === "high" || risk === "critical";
}

interface KnownHost {
  /** `host:port` */
  readonly name: string;
  /** Null when the workspace does not list it. */
  readonly risk: string | null;
}

/** The host a use speaks to, when it is the same for every run; null when it can vary. */
function hostOf(analysis: Analysis, use: Use): KnownHost | null {
  const head = fixedHead(use.place);
  const match = /^(https?):\/\/([^/?#@\\\s]+)(?=$|[/?#])/i.exec(head.text);
  if (match === null) return null;
  const [whole = "", scheme = "", authority = ""] = match;
  // Text that varies could go on with the authority, as in "http://a.example" + x with x = ".evil.example".
  if (!head.isWhole && head.text.length === whole.length) return null;
  const name = /:\d+$/.test(authority)
    ? authority
    : `${authority}:${scheme.toLowerCase() === "https" ? 443 : 80}`;
  const known = analysis.program.workspace.hosts.find(
    (host) => host.host.toLowerCase() === name.toLowerCase() && host.scheme === scheme.toLowerCase(),
  );
  return { name, risk: known?.risk ?? null };
}

function fixedHead(expression: Expression): { readonly text: string; readonly isWhole: boolean } {
  if (expression.kind === "literal" && typeof expression.value === "string") {
    return { text: expression.value, isWhole: true };
  }
  if (expression.kind !== "binary" || expression.operator !== "+") return { text: "", isWhole: false };
  const left = fixedHead(expression.left);
  if (!left.isWhole) return left;
  const right = fixedHead(expression.right);
  return { text: left.text + right.text, isWhole: right.isWhole };
}
