// What is shown of an entry: the whole as JSON, or one line for people.
import type { ApiEntry, EntrySummary } from "@writ/core/api";
import type { Actor, EmergencyScope, Entry, EntryFacts } from "@writ/core/entry";
import { parseValue, toJson, type Json, type ValueMap } from "@writ/core/value";

type JsonObject = { readonly [key: string]: Json };

export function apiEntry(entry: Entry): ApiEntry {
  const { seq, epoch, node, kind, run, cause, actor, atMs, hash, previousHash, runPrevious, facts } = entry;
  return {
    seq,
    epoch,
    node,
    kind,
    run,
    cause,
    actor: { ...actor },
    atMs,
    hash,
    previousHash,
    runPrevious,
    facts: toJson(parseValue(facts)) as JsonObject,
  };
}

export function entrySummary(entry: Entry): EntrySummary {
  const { facts } = entry;
  const step = "step" in facts ? facts.step : null;
  return { seq: entry.seq, atMs: entry.atMs, kind: entry.kind, step, text: entryText(entry) };
}

export function actorText(actor: Actor): string {
  switch (actor.kind) {
    case "person":
      return actor.id;
    case "node":
      return "the node";
    case "program":
      return `program ${actor.program.slice(0, 8)}`;
  }
}

/** One line for people; what a step did, not how it is stored. */
export function entryText(entry: Entry): string {
  switch (entry.kind) {
    case "ledger.created":
      return `ledger of ${entry.facts.node} created`;
    case "ledger.archived":
      return `${entry.facts.segments.length} segments archived to ${entry.facts.folder}`;
    case "ledger.pruned":
      return `${entry.facts.entries} entries of ${entry.facts.firstSeq} to ${entry.facts.lastSeq} pruned by ${actorText(entry.actor)}`;
    case "node.started":
      return `node started, version ${entry.facts.version}`;
    case "node.stopped":
      return `node stopped: ${entry.facts.reason}`;
    case "person.added":
      return `${entry.facts.person} added as ${entry.facts.roles.join(", ")}`;
    case "person.token-replaced":
      return `new token for ${entry.facts.person}`;
    case "person.roles-set":
      return `${entry.facts.person} is now ${entry.facts.roles.join(", ")}`;
    case "person.removed":
      return `${entry.facts.person} removed`;
    case "workspace.added":
      return `workspace ${entry.facts.name} at ${entry.facts.root}`;
    case "workspace.removed":
      return `workspace ${entry.facts.name} removed`;
    case "policy.set":
      return `policy ${short(entry.facts.hash)} in force`;
    case "key.added":
      return `key ${entry.facts.key} added for ${entry.facts.purpose}`;
    case "key.revoked":
      return `key ${entry.facts.key} revoked: ${entry.facts.reason}`;
    case "capability.revoked":
      return `${entry.facts.capability} revoked: ${entry.facts.reason}`;
    case "capability.restored":
      return `${entry.facts.capability} restored`;
    case "program.compiled":
      return `${entry.facts.name} compiled to ${short(entry.facts.program)}: ${entry.facts.verdict}`;
    case "program.approved":
      return `${short(entry.facts.program)} approved by ${actorText(entry.actor)}`;
    case "program.deployed":
    case "program.paused":
    case "program.resumed":
      return `${short(entry.facts.program)} ${entry.kind.slice("program.".length)}`;
    case "program.undeployed":
      return `${short(entry.facts.program)} undeployed${because(entry.facts.reason)}`;
    case "emergency.stopped":
      return `emergency stop ${entry.facts.stop} on ${scopeText(entry.facts.scope)} by ${actorText(entry.actor)}${because(entry.facts.reason)}`;
    case "emergency.cleared":
      return `emergency stop ${entry.facts.stop} cleared by ${actorText(entry.actor)}${because(entry.facts.reason)}`;
    case "event.received":
      return `${entry.facts.event.type} ${entry.facts.event.subject ?? ""}`.trim();
    case "source.missed": {
      const { source, count, reported, policy } = entry.facts;
      return `${source.replace(/@.*$/, "")} missed ${count}, ${reported} made up for (${policy})`;
    }
    case "webhook.secret-set":
      return `webhook ${entry.facts.workspace}/${entry.facts.name} has the secret ${entry.facts.secretId}`;
    case "memory.forgotten":
      return `${entry.facts.key} of the ${entry.facts.scope} ${short(entry.facts.owner)} forgotten by ${actorText(entry.actor)}${because(entry.facts.reason)}`;
    case "webhook.removed":
      return `webhook ${entry.facts.workspace}/${entry.facts.name} removed`;
    case "notification.sent":
      return `${entry.facts.to} told: ${entry.facts.text}`;
    case "run.started":
      return `started by ${actorText(entry.facts.principal)}: ${entry.facts.event.type}${forkText(entry.facts.forkedFrom)}`;
    case "effect.intended":
      return `${entry.facts.capability} ${targetsText(entry.facts.targets)}`.trim();
    case "effect.completed":
      return `done, ${entry.facts.evidence}${entry.facts.resolved ? ", found after a crash" : ""}`;
    case "effect.progress":
      return `progress: ${JSON.stringify(toJson(parseValue(entry.facts.value))).slice(0, 300)}`;
    case "effect.failed":
    case "effect.refused":
      return `${entry.facts.fault.code}: ${entry.facts.fault.message}`;
    case "effect.held":
      return entry.facts.readBack === true
        ? `not known: ${entry.facts.reason}; it is read back`
        : `held: ${entry.facts.reason}`;
    case "effect.settled":
      return `${actorText(entry.facts.by)} decided: ${entry.facts.decision}${settledText(entry.facts)}`;
    case "approval.requested":
      return `waits for the ${entry.facts.role}${because(entry.facts.message)}`;
    case "approval.decided":
      return `${actorText(entry.facts.by)}: ${entry.facts.decision}${because(entry.facts.comment)}`;
    case "approval.expired":
      return "nobody decided in time";
    case "timer.set":
      return `${entry.facts.why} set`;
    case "timer.fired":
      return `${entry.facts.why} over`;
    case "guard.announced":
      return `announced: ${entry.facts.effect.capability} ${targetsText(entry.facts.effect.targets)} in ${secondsText(entry.facts.endsAtMs - entry.atMs)} unless the ${entry.facts.role} cancels ${entry.facts.countdown}`;
    case "guard.postponed":
      return `waits ${secondsText(entry.facts.untilMs - entry.atMs)}: ${entry.facts.reason}`;
    case "guard.passed":
      return entry.facts.countdown === null
        ? "the wait is over, all checks run again"
        : `countdown over: ${entry.facts.why}`;
    case "guard.read-back":
      return `read back (${entry.facts.poll}): ${entry.facts.outcome}${entry.facts.fault === null ? "" : `, ${entry.facts.fault.message}`}`;
    case "guard.decided":
      return `${actorText(entry.facts.by)}: ${entry.facts.decision}${because(entry.facts.reason)}`;
    case "wait.begun":
      return "waits for an event";
    case "wait.matched":
      return `${entry.facts.event.type} ${entry.facts.holds ? "is what it waits for" : "ends what held"}`;
    case "wait.missed":
      return `missed while the node was down: ${entry.facts.what}`;
    case "child.started":
      return `starts the run ${entry.facts.run}`;
    case "child.ended":
      return `the run ${entry.facts.run} ended: ${entry.facts.status}${entry.facts.fault === null ? "" : `, ${entry.facts.fault.code}`}`;
    case "event.emitted":
      return `emitted ${entry.facts.event.type}`;
    case "run.cancel-requested":
      return `${actorText(entry.facts.by)} cancels${entry.facts.undo ? " and undoes" : ""}${because(entry.facts.reason)}`;
    case "run.paused":
      return `${actorText(entry.facts.by)} pauses${because(entry.facts.reason)}`;
    case "run.resumed":
      return `${actorText(entry.facts.by)} resumes${because(entry.facts.reason)}`;
    case "run.snapshot":
      return `state after entry ${entry.facts.after} written down`;
    case "run.preempted":
      return `gives way to ${entry.facts.by}${entry.facts.again ? " and starts again" : ""}`;
    case "run.priority-set":
      return `${actorText(entry.facts.by)} sets the priority ${entry.facts.priority}`;
    case "breakpoint.set":
      return `${actorText(entry.facts.by)} sets ${entry.facts.breakpoint} before ${entry.facts.step ?? entry.facts.capability ?? ""}`;
    case "breakpoint.cleared":
      return `${actorText(entry.facts.by)} clears ${entry.facts.breakpoint}`;
    case "step.intercepted":
      return `stopped at ${entry.facts.breakpoint}: ${entry.facts.effect.capability} ${targetsText(entry.facts.effect.targets)}`.trim();
    case "step.released":
      return `${actorText(entry.facts.by)} lets it go on${changesText(entry.facts.params)}${because(entry.facts.comment)}`;
    case "run.migrated":
      return `${actorText(entry.facts.by)} moves it to ${short(entry.facts.target)}`;
    case "step.retry-ordered":
      return `${actorText(entry.facts.by)} orders another attempt${because(entry.facts.reason)}`;
    case "step.skip-ordered":
      return `${actorText(entry.facts.by)} orders to go on without it${because(entry.facts.reason)}`;
    case "undo.requested":
      return `${actorText(entry.facts.by)} undoes${because(entry.facts.reason)}`;
    case "undo.intended":
      return `undo by ${entry.facts.capability}`;
    case "undo.completed":
      return entry.facts.stays === undefined ? "undone" : `undone in part: ${entry.facts.stays.message}`;
    case "undo.held":
      return `undo held: ${entry.facts.fault.message}`;
    case "undo.settled":
      return `${actorText(entry.facts.by)} decided on the undo: ${entry.facts.decision}`;
    case "run.ended":
      return (
        (entry.facts.fault === null
          ? entry.facts.status
          : `${entry.facts.status}: ${entry.facts.fault.code}: ${entry.facts.fault.message}`) +
        (entry.facts.simulated === true ? " (SIMULATED)" : "")
      );
  }
}

function settledText({ readBack, evidence }: EntryFacts["effect.settled"]): string {
  if (readBack === true) return "; it is read back";
  return evidence === "commanded" ? ", not observed" : "";
}

function targetsText(targets: readonly { readonly does: string; readonly name: string }[]): string {
  return targets.map((target) => `${target.does} ${target.name}`).join(", ");
}

export function scopeText(scope: EmergencyScope): string {
  return scope.kind === "everything" ? "everything" : `${scope.kind} ${scope.name}`;
}

function forkText(from: { readonly run: string; readonly seq: number } | undefined): string {
  return from === undefined ? "" : `, forked from ${from.run} after entry ${from.seq}`;
}

function changesText(params: ValueMap | null): string {
  return params === null ? "" : `, changing ${Object.keys(params).join(", ")}`;
}

function secondsText(ms: number): string {
  const seconds = Math.max(0, ms) / 1000;
  return `${seconds < 10 ? Math.round(seconds * 10) / 10 : Math.round(seconds)} s`;
}

function because(reason: string): string {
  return reason === "" ? "" : `: ${reason}`;
}

function short(hash: string): string {
  return hash.slice(0, 8);
}
