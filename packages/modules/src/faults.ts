import { faultsOf } from "@writ/core/fault";

const filesystemFaults = {
  "filesystem.path-invalid": {
    kind: "rejected",
    remedy: "Name the file by a path relative to the workspace, such as `inbox/a.csv`.",
  },
  "filesystem.path-parent": {
    kind: "rejected",
    remedy: "Write the path without `..`; name the folder from the root of the workspace.",
  },
  "filesystem.path-control": {
    kind: "rejected",
    remedy: "Remove control characters, NUL and unpaired surrogates from the path.",
  },
  "filesystem.path-backslash": {
    kind: "rejected",
    remedy: "Separate folders with `/`, not with a backslash.",
  },
  "filesystem.path-too-long": {
    kind: "rejected",
    remedy: "Shorten the path: at most 255 bytes a name and 4096 characters in all.",
  },
  "filesystem.outside": {
    kind: "rejected",
    remedy: "Use a path inside the workspace, or add the folder as a workspace of its own.",
  },
  "filesystem.link-loop": {
    kind: "rejected",
    remedy: "Name the real file: the symbolic links of this path lead in a circle.",
  },
  "filesystem.is-a-link": {
    kind: "rejected",
    remedy:
      "Name the file that the symbolic link points to; links themselves are not moved, replaced or deleted.",
  },
  "filesystem.read-only-place": {
    kind: "rejected",
    remedy: "Write somewhere else, or set the place's access to `write` in the workspace file.",
  },
  "workspace.missing": {
    kind: "transient",
    remedy:
      "Bring the workspace's folder back to its place (mount its disk, undo its move); it is looked for again.",
  },
  "filesystem.workspace-file": {
    kind: "rejected",
    remedy:
      "Write another file. A person changes `workspace.json` by hand and has it read with `writ workspace add`.",
  },
  "filesystem.reserved-name": {
    kind: "rejected",
    remedy: "Choose another name: names of the form `.writ-….tmp` belong to writes in progress.",
  },
  "filesystem.not-found": { kind: "rejected", remedy: "Check the path, or create the file first." },
  "filesystem.folder-missing": {
    kind: "rejected",
    remedy: "Create the folder first (`create_directory`), or set `create_dirs`.",
  },
  "filesystem.exists": {
    kind: "rejected",
    remedy: "Choose another name, or set `overwrite` if the present file may be replaced.",
  },
  "filesystem.is-a-folder": { kind: "rejected", remedy: "Name a file, or use an action for folders." },
  "filesystem.not-a-folder": { kind: "rejected", remedy: "Name a folder, or use an action for files." },
  "filesystem.not-a-file": {
    kind: "rejected",
    remedy: "Name a regular file; pipes, sockets and devices are refused.",
  },
  "filesystem.not-empty": { kind: "rejected", remedy: "Empty the folder first, or set `recursive`." },
  "filesystem.permission": {
    kind: "rejected",
    remedy: "Give the account that runs Writ the right to read or write there.",
  },
  "filesystem.read-only": {
    kind: "rejected",
    remedy: "Mount the file system for writing, or write elsewhere.",
  },
  "filesystem.disk-full": { kind: "transient", remedy: "Free space on the disk, then run the step again." },
  "filesystem.other-device": {
    kind: "rejected",
    remedy: "Copy the file and delete the original: the two folders are on different file systems.",
  },
  "filesystem.too-many-open": {
    kind: "transient",
    remedy: "Wait, or raise the limit of open files (`ulimit -n`).",
  },
  "filesystem.busy": {
    kind: "transient",
    remedy: "Close the program that uses the file, then run the step again.",
  },
  "filesystem.io": {
    kind: "broken",
    remedy: "Check the disk and the system's log; the device reported an error.",
  },
  "filesystem.changed": {
    kind: "transient",
    remedy: "Run the step again: somebody changed the file between looking at it and acting.",
  },
  "filesystem.readback": {
    kind: "broken",
    remedy: "Check the disk: what was read back is not what was written.",
  },
  "filesystem.too-large": {
    kind: "rejected",
    remedy: "Read a part of it with `max_bytes` or `start_line` and `end_line`.",
  },
  "filesystem.not-text": {
    kind: "rejected",
    remedy: "Name the file's encoding in `encoding`; the facts hold a guess.",
  },
  "filesystem.encoding-unknown": {
    kind: "rejected",
    remedy: "Use a known encoding, such as utf-8, utf-16le, windows-1252 or iso-8859-15.",
  },
  "filesystem.not-encodable": {
    kind: "rejected",
    remedy: "Use utf-8, or remove the characters that the encoding does not have.",
  },
  "filesystem.cancelled": { kind: "rejected", remedy: "Start the step again when it is wanted." },
  "filesystem.archive-format": { kind: "rejected", remedy: "Use zip, tar or tar.gz." },
  "filesystem.archive-damaged": {
    kind: "rejected",
    remedy: "Get the archive again: it cannot be read to its end.",
  },
  "filesystem.archive-entry": {
    kind: "rejected",
    remedy: "Do not unpack this archive: it holds links, special files or names that lead out of the folder.",
  },
  "filesystem.archive-bomb": {
    kind: "rejected",
    remedy: "Do not unpack this archive: it unpacks to more than the limits allow.",
  },
  "filesystem.too-many": { kind: "rejected", remedy: "Name a smaller folder, or a narrower pattern." },
  "undo.world-changed": {
    kind: "broken",
    remedy:
      "Look at the named place and decide: somebody changed it since, so taking it back would destroy their work.",
  },
} as const;

const csvFaults = {
  "csv.empty": { kind: "rejected", remedy: "Provide a file with a header row and at least one row of data." },
  "csv.malformed": {
    kind: "rejected",
    remedy:
      "Correct the named row: quotes must be closed and every row must have as many fields as the header.",
  },
  "csv.column-missing": {
    kind: "rejected",
    remedy:
      "Use one of the listed columns, or add this heading to the column's aliases in the workspace file.",
  },
  "csv.column-ambiguous": {
    kind: "rejected",
    remedy: "Rename one of the columns: two headings mean the same.",
  },
  "csv.not-a-number": { kind: "rejected", remedy: "Correct the named cell: it must hold one number." },
  "csv.not-a-cell": {
    kind: "rejected",
    remedy: "Give texts, numbers, true, false or nothing as the values of a row.",
  },
  "csv.ambiguous-decimal": {
    kind: "rejected",
    remedy:
      "Write the amounts with two decimals (`1234.50` or `1234,50`): as they stand, the separator can mean thousands or decimals.",
  },
  "csv.out-of-range": {
    kind: "rejected",
    remedy: "Correct the named cell, or change the column's `min` and `max` in the workspace file.",
  },
  "csv.wrong-currency": {
    kind: "rejected",
    remedy:
      "Correct the file: a column holds amounts of one currency, the one that the workspace file names.",
  },
} as const;

const httpFaults = {
  "http.url-invalid": {
    kind: "rejected",
    remedy: "Use a full http or https address without user name and password in it.",
  },
  "http.host-not-listed": {
    kind: "rejected",
    remedy: "Add the host and port to `hosts` in the workspace file if it may be reached.",
  },
  "http.address-refused": {
    kind: "rejected",
    remedy:
      "Use a public address, or list the private one by its number (`10.0.0.5:8080`) in the workspace file.",
  },
  "http.tls-required": {
    kind: "rejected",
    remedy: "Leave `verify_ssl` true; add a missing certificate authority to the system instead.",
  },
  "http.body-ambiguous": {
    kind: "rejected",
    remedy: "Give one body: `body_json`, `data`, `form` or `raw_body`.",
  },
  "http.header-refused": {
    kind: "rejected",
    remedy: "Leave out headers that the client sets itself, and line breaks in headers.",
  },
  "http.secret-header": {
    kind: "rejected",
    remedy:
      "Leave it out: headers are recorded in clear. Let a proxy on an allowed host add the credentials.",
  },
  "http.redirect-refused": {
    kind: "rejected",
    remedy: "Use the final address itself: it is then checked, listed and approved like any other.",
  },
  "http.response-too-large": { kind: "rejected", remedy: "Ask for less, or use `download_file`." },
  "http.status-4xx": {
    kind: "rejected",
    remedy: "Correct the request: the receiver refused it; its answer is in the facts.",
  },
  "http.status-5xx": { kind: "transient", remedy: "Try again later, or ask the receiver's operator." },
  "http.status-unexpected": {
    kind: "rejected",
    remedy: "Check the address: the status differs from the expected one.",
  },
  "http.timeout": { kind: "transient", remedy: "Try again, or raise `timeout`." },
  "http.connection": {
    kind: "transient",
    remedy: "Check that the receiver runs and the network is up, then try again.",
  },
  "http.certificate": {
    kind: "rejected",
    remedy: "Have the receiver's certificate corrected; it is never accepted unverified.",
  },
} as const;

const clockFaults = {
  "clock.schedule-invalid": {
    kind: "rejected",
    remedy: "Give `every_ms` (at least 1000), `cron` with `zone`, or `at` as an RFC 3339 time.",
  },
} as const;

const webhookFaults = {
  "webhook.body": { kind: "rejected", remedy: "Send a JSON body of at most 256 KiB." },
  "webhook.cloud-event": {
    kind: "rejected",
    remedy: "Send the attributes that CloudEvents 1.0 requires, with JSON data, or no CloudEvent at all.",
  },
} as const;

const execFaults = {
  "exec.program-unknown": {
    kind: "rejected",
    remedy:
      "Have the owner add the program under `programs` in the workspace file, or use one that is listed.",
  },
  "exec.program-missing": {
    kind: "rejected",
    remedy: "Install the program, or correct its path in the workspace file.",
  },
  "exec.program-changed": {
    kind: "rejected",
    remedy: "Look at what the program's path leads to now, then run the step again.",
  },
  "exec.shell": {
    kind: "rejected",
    remedy:
      "Allow the program itself instead of a shell, a launcher or an interpreter without a list of arguments.",
  },
  "exec.argument": {
    kind: "rejected",
    remedy:
      "Use arguments that the workspace file allows for the program (its patterns are globs: `*` stands for any text), and paths inside the workspace.",
  },
  "exec.environment": {
    kind: "rejected",
    remedy: "Set other variables: those that load code or hold secrets are not passed to commands.",
  },
  "exec.sandbox-missing": {
    kind: "rejected",
    remedy:
      "Install bubblewrap on the node's machine, or have the owner set the program's `sandbox` in the workspace file.",
  },
  "exec.start-failed": {
    kind: "rejected",
    remedy: "Correct the program's path, or its rights, on the node's machine.",
  },
  "exec.exit": { kind: "rejected", remedy: "Read what the program said; it stands in the facts." },
  "exec.timeout": { kind: "rejected", remedy: "Give the command more `timeout`, or less to do." },
  "exec.stopped": { kind: "rejected", remedy: "Look at what the command had done until then." },
  "exec.unsupported": { kind: "rejected", remedy: "Run the step on a node with Linux." },
  "exec.process-missing": { kind: "rejected", remedy: "List the processes again: this one has ended." },
  "exec.process-denied": { kind: "rejected", remedy: "Have the system's administrator end the process." },
  "exec.foreign-process": {
    kind: "rejected",
    remedy: "End only processes that a command of this workspace started.",
  },
  "exec.no-desktop": {
    kind: "rejected",
    remedy: "Start the node in a desktop session, or use `run_command`.",
  },
} as const;

const modelFaults = {
  "model.none": {
    kind: "rejected",
    remedy: "Give the node a model, or the step a failure policy without one.",
  },
  "model.unavailable": {
    kind: "transient",
    remedy: "See that the model can be reached, or let the step try again.",
  },
  "model.answer": {
    kind: "rejected",
    remedy:
      "Make the schema or the question simpler, or use another model; nothing else than a fitting answer is taken.",
  },
} as const;

const memoryFaults = {
  "memory.none": { kind: "rejected", remedy: "Run the step on a node that keeps a ledger." },
  "memory.no-program": {
    kind: "rejected",
    remedy: "Use the scope `workspace`, or ask from within a program.",
  },
  "memory.too-large": {
    kind: "rejected",
    remedy: "Remember less: what is needed later, or the path of a file that holds the whole.",
  },
  "memory.moved-on": {
    kind: "rejected",
    remedy: "Look at what is remembered now (`writ memory show`), and leave it or have it forgotten.",
  },
} as const;

export const modulesFaults = {
  ...memoryFaults,
  ...modelFaults,
  ...filesystemFaults,
  ...csvFaults,
  ...httpFaults,
  ...clockFaults,
  ...execFaults,
  ...webhookFaults,
} as const;

export const fault = faultsOf(modulesFaults);
