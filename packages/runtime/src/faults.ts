import { faultsOf } from "@writ/core/fault";

export const runtimeFaults = {
  "runtime.unknown-opcode": {
    kind: "broken",
    remedy: "Compile the program again with this version of Writ; do not run it on this node.",
  },
  "runtime.unknown-entry": {
    kind: "broken",
    remedy: "Start the version of Writ that wrote this entry, or restore the node from a backup.",
  },
  "runtime.diverged": {
    kind: "broken",
    remedy: "Verify the ledger and replay the run with the version of Writ that recorded it.",
  },
  "runtime.illegal-transition": {
    kind: "broken",
    remedy: "Replay the run and report the entry that is named; its state was left as it was.",
  },
  "runtime.slot-taken": {
    kind: "broken",
    remedy: "Compile the program again; two steps on one path write the same slot.",
  },
  "runtime.busy": { kind: "transient", remedy: "Try again after the time given in `retryAfterMs`." },
  "runtime.conflict": {
    kind: "transient",
    remedy:
      "Wait for the time in `retryAfterMs` until a run of the program has ended; its `conflict` says that it does not queue.",
  },
  "runtime.preempted": {
    kind: "rejected",
    remedy:
      "Nothing has to be done where it starts again by itself; else start it again when the more urgent run has ended.",
  },
  "runtime.resource-units": {
    kind: "rejected",
    remedy: "Ask for fewer units of the resource, or tell the node that there are more of it.",
  },
  "runtime.stopped": { kind: "transient", remedy: "Start the node again; the run goes on where it stopped." },
  "wait.timed-out": {
    kind: "rejected",
    remedy: "Wait longer, correct the filter, or give the step a failure policy for when nothing comes.",
  },
  "wait.missed": {
    kind: "rejected",
    remedy:
      "Look at what happened while the node was down, then start the run again; or let the wait go on with `missed`.",
  },
  "loop.too-long": {
    kind: "rejected",
    remedy: "Give the loop a shorter list, or a larger `iterationsMax`; no element is left out silently.",
  },
  "loop.not-converged": {
    kind: "rejected",
    remedy: "Find out why the condition does not become true, or let the loop run more often.",
  },
  "runtime.timeout": {
    kind: "transient",
    remedy: "Give the step more time with `timeoutMs`, or find out why the system it calls is slow.",
  },
  "runtime.silent": {
    kind: "transient",
    remedy: "Find out why the module stopped reporting; its effect may have happened.",
  },
  "runtime.progress-too-large": {
    kind: "rejected",
    remedy: "Report a shorter summary, and attach what is long.",
  },
  "runtime.attachment-too-large": {
    kind: "rejected",
    remedy: "Let the module keep less beside its result, or write a file of the workspace.",
  },
  "runtime.cancelled": { kind: "rejected", remedy: "Start the run again if it is still wanted." },
  "runtime.bug": {
    kind: "broken",
    remedy: "Report the message and the run; the step was stopped and everything before it is recorded.",
  },
  "runtime.result-mismatch": {
    kind: "broken",
    remedy: "Update or revoke the capability: what it returned does not match its own contract.",
  },
  "runtime.result-too-large": {
    kind: "rejected",
    remedy: "Ask for less at once, or have the capability write to a file instead of returning everything.",
  },
  "runtime.time-invalid": {
    kind: "rejected",
    remedy: "Give a time as RFC 3339 text (2026-11-20T08:00:00Z) or in milliseconds since 1970.",
  },
  "runtime.target-moving": {
    kind: "transient",
    remedy: "Find out who keeps renaming or relinking the path, then run the step again.",
  },
  "runtime.full": {
    kind: "transient",
    remedy:
      "End runs that nobody waits for any more (`writ run list --status waiting`), then start this one again.",
  },
  "runtime.target-changed": {
    kind: "rejected",
    remedy: "Look at what changed while the node was down, then start the run again.",
  },
  "runtime.outcome-unknown": {
    kind: "broken",
    remedy: "Look at the system that was called and decide with `writ run settle`.",
  },
  "runtime.settled-failed": { kind: "rejected", remedy: "Start the run again if it is still wanted." },
  "runtime.group-failed": {
    kind: "rejected",
    remedy: "Look at the branches of the group; fewer of them succeeded than it needs.",
  },
  "runtime.parameter-too-large": {
    kind: "rejected",
    remedy: "Pass a path instead of the content, or split the work.",
  },
  "runtime.value-not-recorded": {
    kind: "broken",
    remedy: "Restore the blob that is named from a backup, then start the node again.",
  },
  "run.unknown": { kind: "rejected", remedy: "List the runs and use one of their ids." },
  "undo.partial": {
    kind: "rejected",
    remedy:
      "Everything else was taken back; set right by hand what the steps named in `stays` did, if it has to be.",
  },
  "run.ended": { kind: "rejected", remedy: "The run has ended; undo it instead of cancelling it." },
  "run.not-ended": { kind: "rejected", remedy: "Cancel the run with undo, or wait until it has ended." },
  "run.paused": { kind: "rejected", remedy: "Resume the run, or cancel it; it is paused already." },
  "run.not-paused": { kind: "rejected", remedy: "Show the run; it is not paused and goes on by itself." },
  "run.breakpoint": {
    kind: "rejected",
    remedy:
      "Name a step that calls a capability, or a capability that the program uses (`filesystem.*`); see `writ run show`.",
  },
  "run.migration": {
    kind: "rejected",
    remedy:
      "Let the run finish on its version, or give a version in which the steps that are named are as they were.",
  },
  "run.fork-point": {
    kind: "rejected",
    remedy:
      "Fork from an entry at which nothing was under way; the facts name the last one before, where there is one.",
  },
  "child.ended": {
    kind: "rejected",
    remedy: "Show the run that the step started (its id is in the facts); it says why it did not finish.",
  },
  "child.workspace": {
    kind: "rejected",
    remedy: "Call a program that was compiled for the same workspace.",
  },
  "child.too-deep": {
    kind: "rejected",
    remedy: "Have fewer programs call each other; the limit is in the facts.",
  },
  "child.resources": {
    kind: "rejected",
    remedy: "Name the resource, with the same access, among those of the program that calls.",
  },
  "run.order": {
    kind: "rejected",
    remedy: "Show the run and look at the state of the step; order what its state allows.",
  },
  "run.step-skipped": {
    kind: "rejected",
    remedy: "A person ordered to go on without the step; read the reason in the entries of the run.",
  },
  "run.nothing-held": {
    kind: "rejected",
    remedy: "Show the run; only a step in the state HELD waits for a decision.",
  },
  "run.decision": {
    kind: "rejected",
    remedy: "Use one of the decisions listed in the facts for this held step.",
  },
  "program.unknown": { kind: "rejected", remedy: "List the programs and use the hash of one of them." },
  "program.refused": {
    kind: "rejected",
    remedy: "Read the counterexample in the certificate and change the rule.",
  },
  "workspace.unknown": {
    kind: "rejected",
    remedy: "Add the folder with `writ workspace add`, or use the name of a known workspace.",
  },
  "approval.unknown": { kind: "rejected", remedy: "List the waiting approvals and use one of their ids." },
  "approval.closed": {
    kind: "rejected",
    remedy: "The approval was already decided or has expired; show the run.",
  },
  "approval.wrong-role": {
    kind: "rejected",
    remedy: "Have a person decide who has the role named in the facts.",
  },
  "approval.own-change": {
    kind: "rejected",
    remedy: "Have somebody else with the role decide: whoever changes parameters does not approve them.",
  },
  "approval.stale": {
    kind: "rejected",
    remedy:
      "Look at what changed since the approval was given, then start the run again and approve it anew.",
  },
  "approval.rejected": { kind: "rejected", remedy: "Read the comment of the person who rejected it." },
  "approval.expired": { kind: "rejected", remedy: "Start the run again and decide within the time given." },
  "capability.unknown": {
    kind: "rejected",
    remedy: "Install the module that has this capability and version, or compile the program again.",
  },
  "capability.revoked": {
    kind: "rejected",
    remedy: "Use another capability, or have the owner restore this one.",
  },
  "gate.policy-denied": {
    kind: "rejected",
    remedy: "Read which policy forbids it; an owner can change the policy or the workspace's profile.",
  },
  "gate.params-invalid": { kind: "rejected", remedy: "Correct the parameters that are named." },
  "gate.outside-workspace": {
    kind: "rejected",
    remedy: "Use a path inside the workspace, without links that lead out of it.",
  },
  "gate.workspace-file": {
    kind: "rejected",
    remedy:
      "Write another file. A person changes `workspace.json` by hand and has it read with `writ workspace add`.",
  },
  "gate.read-only-place": {
    kind: "rejected",
    remedy: "Write somewhere else, or change the place's access in `workspace.json`.",
  },
  "gate.invariant": {
    kind: "rejected",
    remedy: "The program promised not to do this; change the rule and have it proven again.",
  },
  "gate.host-not-allowed": {
    kind: "rejected",
    remedy: "Add the host and port with its risk to the allow-list in `workspace.json`.",
  },
  "gate.device-not-allowed": {
    kind: "rejected",
    remedy: "Add the device with its risk to `devices` in `workspace.json`.",
  },
  "gate.secret-leaves": {
    kind: "rejected",
    remedy: "Do not send or write what is secret; send a value that does not depend on it.",
  },
  "gate.emergency-stop": {
    kind: "rejected",
    remedy: "Make the place safe; then an owner clears the stop with `writ emergency clear`.",
  },
  "guard.missing": {
    kind: "rejected",
    remedy: "Give the step what its capability's integrity level demands, and have the program proven again.",
  },
  "guard.precondition": {
    kind: "rejected",
    remedy: "Bring about what the precondition says, then start the run again.",
  },
  "guard.range": {
    kind: "rejected",
    remedy: "Ask for a value inside the bounds in the facts, or for a smaller step.",
  },
  "guard.window": {
    kind: "rejected",
    remedy: "Start the run again inside the window, or have the window changed and proven.",
  },
  "guard.rate": {
    kind: "transient",
    remedy: "Wait for the time in `retryAfterMs`; the target was moved too recently or too often.",
  },
  "guard.cancelled": {
    kind: "rejected",
    remedy: "Read why it was cancelled in the run's entries, then start the run again if it is still wanted.",
  },
  "guard.missed": {
    kind: "rejected",
    remedy: "Start the run again when somebody can acknowledge its countdown.",
  },
  "guard.unsettled": {
    kind: "rejected",
    remedy: "What it would do kept changing while it was announced: find out why, then start the run again.",
  },
  "guard.not-observed": {
    kind: "rejected",
    remedy: "Look at the target: it was commanded, and the last reading in the facts does not show it.",
  },
  "guard.unverified": {
    kind: "rejected",
    remedy: "Look at the target: it was commanded, and the run ended before anybody read whether it moved.",
  },
  "guard.reading": {
    kind: "rejected",
    remedy: "Have the read-back return a small value of its declared shape.",
  },
  "countdown.unknown": {
    kind: "rejected",
    remedy: "List the countdowns that run with `writ countdown list` and use one of their ids.",
  },
  "countdown.wrong-role": {
    kind: "rejected",
    remedy: "Ask somebody with the role in the facts, an operator or an owner.",
  },
  "emergency.unknown": {
    kind: "rejected",
    remedy: "List the emergency stops in force with `writ emergency list` and use one of their ids.",
  },
  "gate.rate": {
    kind: "transient",
    remedy: "Wait for the time in `retryAfterMs`; the facts say what was done too often.",
  },
  "trigger.source-unknown": {
    kind: "rejected",
    remedy: "Install the module that has this source, or compile the program again.",
  },
} as const;

export const fault = faultsOf(runtimeFaults);
