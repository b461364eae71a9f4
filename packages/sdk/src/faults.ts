import { faultsOf } from "@writ/core/fault";

export const sdkFaults = {
  "client.unreachable": {
    kind: "transient",
    remedy: "Start the node with `npm start`, or name another with `--url URL` (WRIT_URL).",
  },
  "client.cut-off": {
    kind: "broken",
    remedy:
      "Look whether it was done (`writ runs`, `writ programs`, `writ ledger show`) before you ask for it again: what was recorded goes on when the node runs.",
  },
  "client.unexpected-answer": {
    kind: "broken",
    remedy: "Use client and node of one version, and make sure that nothing between them changes answers.",
  },
  "client.form": { kind: "rejected", remedy: "Write it in the form the message gives." },
  "client.address": { kind: "rejected", remedy: "Write the node's address as `http://host:port`." },
  "client.stream-closed": {
    kind: "transient",
    remedy: "Connect again from the entry after the last one received.",
  },
} as const;

export const fault = faultsOf(sdkFaults);
