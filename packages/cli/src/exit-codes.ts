// Exit codes, for scripts. They are part of the command's contract: a new meaning gets a new number.
import type { FaultRecord } from "@writ/core/fault";

export const exitCodes = {
  /** Done, or what was asked for is so. */
  ok: 0,
  /** The answer is no: a program refused, a run failed, a ledger damaged, a replay that differs. */
  refused: 1,
  /** The command line cannot be understood. */
  usage: 2,
  /** No node answers at the address. */
  unreachable: 3,
  /** No token, an unknown one, or a person who may not. */
  notAllowed: 4,
  /** The request must change: any other fault of kind `rejected`. */
  rejected: 5,
  /** Trying again may help. */
  transient: 6,
  /** Something is broken: a person must look. */
  broken: 7,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

export function exitCodeOf(fault: FaultRecord): ExitCode {
  if (fault.code === "client.unreachable") return exitCodes.unreachable;
  if (fault.code.startsWith("auth.") || fault.code === "approval.wrong-role") return exitCodes.notAllowed;
  switch (fault.kind) {
    case "rejected":
      return exitCodes.rejected;
    case "transient":
      return exitCodes.transient;
    case "broken":
      return exitCodes.broken;
  }
}

export const exitCodeHelp = `Exit codes:
  0  done, or what was asked for is so
  1  the answer is no: refused, failed, damaged
  2  the command line cannot be understood
  3  no node answers at the address
  4  not allowed: no token, an unknown one, or the wrong role
  5  the request must change
  6  trying again may help
  7  broken: a person must look`;
