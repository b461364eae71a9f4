import { faultsOf } from "@writ/core/fault";

export const cliFaults = {
  "command.file": { kind: "rejected", remedy: "Name a file that exists and that you may read." },
  "command.file-exists": {
    kind: "rejected",
    remedy: "Name a file that does not exist yet, or move the old one away.",
  },
  "command.file-write": {
    kind: "rejected",
    remedy: "Name a file in a folder that exists and where you may write.",
  },
  "command.file-size": { kind: "rejected", remedy: "Name a file of at most the size in the facts." },
  "command.assignment": {
    kind: "rejected",
    remedy: "Write the parameter's name, `=` and its value, as JSON or plain text: `--set count=3`.",
  },
  "command.json": { kind: "rejected", remedy: "Correct the JSON at the named place." },
  "command.credentials": {
    kind: "broken",
    remedy: "Remove the file and save the token again with `writ login TOKEN`.",
  },
  "command.approval": {
    kind: "rejected",
    remedy: "Look up what waits with `writ approvals` and write more of the id.",
  },
  "command.countdown": {
    kind: "rejected",
    remedy: "Look up what is announced with `writ countdown list` and write more of the id.",
  },
  "command.stop-scope": {
    kind: "rejected",
    remedy: "Name a target, or give `--workspace NAME`, or `--everything`: one of the three.",
  },
  "command.workspace": {
    kind: "rejected",
    remedy: "Name one of the workspaces in the facts with `--workspace`.",
  },
  "command.hours": { kind: "rejected", remedy: "Give a number of hours from 0 to 168." },
  "command.local": {
    kind: "broken",
    remedy: "Run the command on the machine of the node, from a clone with its dependencies installed.",
  },
  "command.bug": {
    kind: "broken",
    remedy: "This is a defect of the `writ` command; nothing was lost. Report it with the command you ran.",
  },
} as const;

export const fault = faultsOf(cliFaults);
