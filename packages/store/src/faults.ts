import { faultsOf } from "@writ/core/fault";

export const storeFaults = {
  "ledger.stopped": {
    kind: "broken",
    remedy:
      "Find the cause in the facts, repair it (free disk space, replace the disk), then start the node again.",
  },
  "ledger.damaged": {
    kind: "broken",
    remedy:
      "Do not edit the data folder. Restore the newest backup into a new folder and start the node there; keep the damaged folder as evidence.",
  },
  "ledger.truncated": {
    kind: "broken",
    remedy:
      "The ledger ends before entries that were durable. Restore the newest backup into a new folder; keep this folder as evidence.",
  },
  "ledger.other-node": {
    kind: "broken",
    remedy:
      "Use the data folder together with the keys it was created with; do not mix folders of two nodes.",
  },
  "ledger.stale-epoch": {
    kind: "broken",
    remedy: "Another process has opened this ledger since. Stop this process; only one may write.",
  },
  "ledger.too-large": {
    kind: "rejected",
    remedy: "Keep entries within the documented size: store large values as blobs and record their hash.",
  },
  "ledger.no-entry": { kind: "rejected", remedy: "Ask for a sequence number that the ledger holds." },
  "ledger.run-unknown": {
    kind: "rejected",
    remedy: "The run was pruned, or never was; an archive may hold it.",
  },
  "ledger.run-goes-on": {
    kind: "transient",
    remedy: "Prune again: somebody went on with an old run while it was about to be pruned.",
  },
  "ledger.nothing-to-prune": {
    kind: "rejected",
    remedy:
      "Name a later time or entry; only whole segments that a checkpoint covers are pruned, never the newest.",
  },
  "ledger.archive-failed": {
    kind: "rejected",
    remedy:
      "Name a folder outside the data folder that the node may write and whose files are not those of other segments.",
  },
  "ledger.disk-full": {
    kind: "broken",
    remedy: "Free space on the disk that holds the data folder, then start the node again.",
  },
  "store.folder-in-use": {
    kind: "rejected",
    remedy: "Stop the other node that uses this data folder, or give this one another folder with --data.",
  },
  "store.folder-read-only": {
    kind: "rejected",
    remedy:
      "Give the user that runs the node the right to write in the data folder, or choose another with --data.",
  },
  "store.folder-missing": { kind: "rejected", remedy: "Name a folder that exists, or create it first." },
  "store.file-missing": { kind: "broken", remedy: "Restore the file from the newest backup." },
  "store.folder-not-empty": { kind: "rejected", remedy: "Restore into a new or empty folder." },
  "store.no-folder": { kind: "rejected", remedy: "Open the store with a data folder to back it up." },
  "store.file-exists": { kind: "rejected", remedy: "Choose a name that no file has yet." },
  "store.disk-failed": {
    kind: "broken",
    remedy:
      "Check the disk that holds the data folder (cables, SMART, dmesg) before starting the node again.",
  },
  "store.keys-missing": {
    kind: "broken",
    remedy:
      "Put the `keys` folder that belongs to this ledger back into the data folder (it is part of every backup).",
  },
  "store.keys-exposed": {
    kind: "broken",
    remedy:
      "Make the key files readable by their owner only: chmod 600 on the files, chmod 700 on the folder.",
  },
  "store.blob-missing": { kind: "broken", remedy: "Restore the blob from the newest backup." },
  "store.blob-damaged": {
    kind: "broken",
    remedy: "Restore the blob from the newest backup; keep the damaged file as evidence.",
  },
  "store.projections-failed": {
    kind: "broken",
    remedy:
      "Find the cause in the facts, repair it and start the node again. When the file `projections.db` itself is broken, delete it: it is rebuilt from the ledger.",
  },
  "store.backup-damaged": {
    kind: "broken",
    remedy: "Use another backup: this file is not what was written, or is not complete.",
  },
} as const;

export const fault = faultsOf(storeFaults);
