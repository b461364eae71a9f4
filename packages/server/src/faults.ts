import { faultsOf } from "@writ/core/fault";
import { coreFaults } from "@writ/core/faults";
import { runtimeFaults } from "@writ/runtime/faults";

export const serverFaults = {
  "server.flag": { kind: "rejected", remedy: "Run `npm start -- --help` for the flags and their form." },
  "server.port-in-use": {
    kind: "rejected",
    remedy: "Stop the other process, or choose another port with `--port`.",
  },
  "server.bug": {
    kind: "broken",
    remedy: "This is a defect of Writ: the node went on and lost nothing. Report it with the node's log.",
  },
  "request.body": { kind: "rejected", remedy: "Send one JSON document with content type application/json." },
  "request.too-large": { kind: "rejected", remedy: "Send less; the facts say how much is accepted." },
  "request.route": { kind: "rejected", remedy: "Look up the routes at /openapi.json." },
  "request.invalid": { kind: "rejected", remedy: "Correct the named fields; /openapi.json has their form." },
  "request.rate": {
    kind: "transient",
    remedy:
      "Wait for the time in `Retry-After`; the owner sets `limits.requestsPerMinuteMax` in `config.json`.",
  },
  "request.host": {
    kind: "rejected",
    remedy:
      "Call the node by 127.0.0.1 or localhost and its port; other names are refused against DNS rebinding.",
  },
  "request.origin": {
    kind: "rejected",
    remedy:
      "Pages of other origins may not call the node; call it from a page of its own, or from a program.",
  },
  "auth.missing": {
    kind: "rejected",
    remedy:
      "Send `Authorization: Bearer TOKEN`. A lost token is replaced on the machine itself with `writ token new`.",
  },
  "auth.unknown": {
    kind: "rejected",
    remedy: "Use a token this node gave out, or make a new one on the machine itself with `writ token new`.",
  },
  "token.no-node": {
    kind: "rejected",
    remedy: "Name the node's data folder with `--data DIR`; the node prints it when it starts.",
  },
  "auth.role": { kind: "rejected", remedy: "Ask somebody with one of the roles in the facts." },
  "auth.agent": { kind: "rejected", remedy: "Let a person decide: agents hand in work, people approve it." },
  "policy.invalid": { kind: "rejected", remedy: "Correct the policy file at the named place." },
  "program.prefix": { kind: "rejected", remedy: "Write more digits of the hash." },
  "program.not-proved": {
    kind: "rejected",
    remedy: "Change the rule so that its proof holds; the counterexample says what goes wrong.",
  },
  "program.not-approved": {
    kind: "rejected",
    remedy: "Approve exactly this hash with `writ approve HASH`; an edit made a new program with a new hash.",
  },
  "program.contradicted": {
    kind: "rejected",
    remedy: "Undeploy the other program, or change the rule; the counterexample names both.",
  },
  "program.certificate": {
    kind: "rejected",
    remedy: "Compile the program again: what is stored is not the proof that was approved.",
  },
  "program.deployed": { kind: "rejected", remedy: "Nothing to do, or undeploy it first." },
  "program.not-deployed": { kind: "rejected", remedy: "Deploy it first with `writ deploy HASH`." },
  "program.paused": { kind: "rejected", remedy: "Resume it first with `writ resume HASH`." },
  "program.not-paused": { kind: "rejected", remedy: "Nothing to do: it is not paused." },
  "run.unknown-step": { kind: "rejected", remedy: "Use one of the steps in the facts: `writ run show RUN`." },
  "run.export-too-large": {
    kind: "rejected",
    remedy: "Export the runs it called one by one; `writ run show RUN` names them.",
  },
  "run.not-begun": {
    kind: "rejected",
    remedy: "Name an entry of the run, at or after the one in the facts.",
  },
  "person.unknown": { kind: "rejected", remedy: "Look up the people with `writ people`." },
  "person.exists": { kind: "rejected", remedy: "Choose another id, or remove the person first." },
  "person.roles": {
    kind: "rejected",
    remedy: "Give an agent the role `agent` alone; add another person for other roles.",
  },
  "person.last-owner": { kind: "rejected", remedy: "Add another owner first." },
  "memory.unknown": {
    kind: "rejected",
    remedy:
      "List the keys with `writ memory list`; `--program` names a version of a program, `--workspace` a workspace.",
  },
  "workspace.which": { kind: "rejected", remedy: "Name one of the workspaces in the facts." },
  "workspace.folder": { kind: "rejected", remedy: "Name an existing folder that the node's user may read." },
  "workspace.data-folder": {
    kind: "rejected",
    remedy: "Choose a folder that does not hold the node's ledger, keys or policies.",
  },
  "webhook.signature": {
    kind: "rejected",
    remedy:
      "Sign `id.timestamp.body` with the webhook's secret, as Standard Webhooks say; `writ webhook create` makes a new one.",
  },
  "webhook.timestamp": {
    kind: "rejected",
    remedy: "Send the time of this attempt in seconds since 1970, and set the sender's clock.",
  },
  "webhook.rate": { kind: "transient", remedy: "Deliver again after the time given in `retryAfterMs`." },
  "webhook.unheard": {
    kind: "transient",
    remedy: "Deploy a program that listens to the webhook, then deliver again.",
  },
  "webhook.unknown": { kind: "rejected", remedy: "List the webhooks with `writ webhook list`." },
  "webhook.too-many": { kind: "rejected", remedy: "Remove webhooks that nobody uses." },
  "workspace.widened": {
    kind: "rejected",
    remedy:
      "Read the changes in the facts. When they are wanted, say so: `writ workspace add FOLDER --confirm`; else put the old file back.",
  },
  "workspace.system-folder": {
    kind: "rejected",
    remedy: "Make a folder of its own for the workspace, for example `~/writ/invoices`, and add that.",
  },
  "workspace.in-use": {
    kind: "rejected",
    remedy: "Undeploy the programs and end the runs in the facts first.",
  },
  "workspace.exists": {
    kind: "rejected",
    remedy: "Change `name` in the folder's workspace.json, or remove the other workspace first.",
  },
  "backup.exists": { kind: "rejected", remedy: "Name a file that does not exist yet." },
  "backup.place": {
    kind: "rejected",
    remedy: "Name a file in an existing folder outside the data folder, best on another disk.",
  },
  "token.unreachable": {
    kind: "transient",
    remedy: "The node holds the data folder but does not answer; stop it, or wait, and try again.",
  },
} as const;

/** Also makes the faults of core and runtime, which name the same things (a run, a program, an approval) the same way. */
export const fault = faultsOf({ ...coreFaults, ...runtimeFaults, ...serverFaults });
