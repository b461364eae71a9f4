import { faultsOf } from "@writ/core/fault";

export const verifierFaults = {
  "verifier.solver-unavailable": {
    kind: "broken",
    remedy: "Reinstall Writ so that the solver is present; nothing is signed without a proof.",
  },
  "verifier.not-proved": {
    kind: "rejected",
    remedy:
      "Simplify the condition that the message names, or raise the solver's time limit, and compile again.",
  },
  "verifier.malformed-program": {
    kind: "rejected",
    remedy: "Correct the step that the message names: every input must be written before it is read.",
  },
  "verifier.dimension": {
    kind: "rejected",
    remedy: "Convert one side, or compare amounts of one currency or unit.",
  },
  "verifier.parameter-range": {
    kind: "rejected",
    remedy: "Guard the step with a condition that keeps the value within the named range.",
  },
  "verifier.vacuous-condition": {
    kind: "rejected",
    remedy: "Change one of the conditions that clash, or remove the part that can never happen.",
  },
  "verifier.contradiction": {
    kind: "rejected",
    remedy:
      "Change the condition of one rule so that they never act on the same thing at once, or undeploy the other.",
  },
  "verifier.parallel-conflict": {
    kind: "rejected",
    remedy: "Put the two steps one after the other, or let them act on different things.",
  },
  "verifier.trigger-loop": {
    kind: "rejected",
    remedy:
      "Write to a place that no rule of the loop watches, or exclude what was written by the trigger's pattern.",
  },
  "verifier.invariant": {
    kind: "rejected",
    remedy: "Change the step that the message names, or the `never` sentence that it breaks.",
  },
  "verifier.path-escape": {
    kind: "rejected",
    remedy: "Write to a fixed folder and use only the name of the file from outside data.",
  },
  "verifier.secret-leak": {
    kind: "rejected",
    remedy:
      "Send the secret as a reference in a parameter made for it, or do not let it decide what is sent.",
  },
  "verifier.untrusted-steering": {
    kind: "rejected",
    remedy: "Put the step under the approval of a person, or use a fixed value.",
  },
  "verifier.approval-missing": {
    kind: "rejected",
    remedy: "Put the step under the approval of a person on every path.",
  },
  "verifier.unguarded": {
    kind: "rejected",
    remedy:
      "Give the step the guard that the message names: what moves something is guarded by its integrity level.",
  },
  "verifier.unsafe-retry": {
    kind: "rejected",
    remedy: "Remove the retry, or use a receiver that performs a repeated request once.",
  },
  "verifier.inconsistent-assumptions": {
    kind: "rejected",
    remedy: "Correct the ranges in the workspace file or the capability contract that the message names.",
  },
  "verifier.certificate-invalid": {
    kind: "rejected",
    remedy: "Compile the rule again; never edit a certificate.",
  },
} as const;

export const fault = faultsOf(verifierFaults);
