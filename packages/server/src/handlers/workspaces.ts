// Workspaces: the folders the node works in, each with the file that says what rules may speak of.
//   S10  The workspace file is read when the folder is added and recorded whole; a change counts when it is added again.
//        What differs from the file before is answered, and asks for a word of confirmation when programs may do more.
//   S11  Two workspaces never share a folder: neither inside the other.
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import path from "node:path";
import type { AddedWorkspace, Workspace } from "@writ/core/api";
import { parseValue } from "@writ/core/value";
import { fault as coreFault } from "@writ/core/faults";
import {
  parseWorkspace,
  workspaceFileName,
  type WorkspaceFile,
  type WorkspaceProgram,
} from "@writ/core/workspace";
import { checkProgram } from "@writ/core/workspace-programs";
import { hasCode } from "@writ/core/fault";
import { deployedPrograms, type RegisteredWorkspace } from "@writ/runtime/registry";
import { fault } from "../faults.ts";
import { workspaceFileBytesMax } from "../limits.ts";
import type { Handlers } from "../http/app.ts";
import { record, storeValue, valueOf, type NodeContext, type Queue } from "../node/context.ts";
import type { Actor } from "@writ/core/entry";
import { workspaceChanges } from "./workspace-changes.ts";

export function workspaceHandlers(
  node: NodeContext,
  inOrder: Queue,
): Pick<Handlers, "listWorkspaces" | "addWorkspace" | "removeWorkspace"> {
  return {
    listWorkspaces: async () => ({
      workspaces: await Promise.all(
        [...node.registry().workspaces.values()].map((known) => apiWorkspace(node, known)),
      ),
    }),
    addWorkspace: ({ body, caller }) =>
      inOrder(async () => {
        const added = await addWorkspace(node, body.root, caller.actor, body.confirm);
        await node.triggers.sync();
        return added;
      }),
    removeWorkspace: ({ params, caller }) =>
      inOrder(async () => {
        const { registry } = node;
        if (!registry().workspaces.has(params.id)) {
          throw fault("workspace.unknown", `Cannot find the workspace \`${params.id}\``, {
            workspace: params.id,
          });
        }
        const programs = deployedPrograms(registry()).filter(({ workspace }) => workspace === params.id);
        const runs = node.unfinishedIn(params.id, 20);
        if (programs.length > 0 || runs.length > 0) {
          throw fault(
            "workspace.in-use",
            `Cannot remove the workspace \`${params.id}\`: programs of it are deployed, or runs under way`,
            {
              programs: programs.map(({ hash, name }) => ({ hash, name })),
              runs: [...runs],
            },
          );
        }
        await record(node, caller.actor, { kind: "workspace.removed", facts: { name: params.id } });
        return { removed: params.id };
      }),
  };
}

/**
 * Adds a folder, or records its file again.
 * @param confirm accepts a file that lets programs do more than the one before
 * @throws workspace.folder, workspace.data-folder, workspace.system-folder, workspace.exists, workspace.file,
 * workspace.widened, core.schema-mismatch
 */
export async function addWorkspace(
  node: Pick<NodeContext, "ledger" | "world" | "blobs" | "registry" | "data">,
  folder: string,
  actor: Actor,
  confirm = false,
): Promise<AddedWorkspace> {
  const root = realFolder(folder);
  assertApartFromData(root, realpathSync(node.data));
  assertNoSystemFolder(root);
  // Before anything is made in it.
  for (const other of node.registry().workspaces.values()) if (other.root !== root) assertApart(root, other);
  const { file, isMade } = readWorkspace(root);
  for (const other of node.registry().workspaces.values()) {
    if (other.name === file.name && other.root !== root) {
      throw fault(
        "workspace.exists",
        `Cannot add \`${root}\`: the workspace \`${file.name}\` is \`${other.root}\``,
        {
          name: file.name,
          root: other.root,
        },
      );
    }
    if (other.name !== file.name) assertApart(root, other);
  }
  for (const [name, place] of [...Object.entries(file.folders), ...Object.entries(file.files)])
    assertInside(root, name, place.path);
  for (const [name, program] of Object.entries(file.programs ?? {})) assertProgram(root, name, program);
  const known = node.registry().workspaces.get(file.name);
  const changes = known === undefined ? [] : workspaceChanges(await workspaceFileOf(node, known), file);
  const widening = changes.filter(({ widens }) => widens).map(({ text }) => text);
  if (widening.length > 0 && !confirm) {
    throw fault(
      "workspace.widened",
      `Cannot take over the changed workspace file of \`${file.name}\` unseen: programs may do more: ${widening.slice(0, 10).join("; ")}`,
      { widens: widening, changes: changes.map(({ text }) => text) },
    );
  }
  const folders = Object.values(file.folders).map((place) => place.path);
  const missing = folders.filter((folder) => !existsSync(path.join(root, folder)));
  for (const folder of folders) makeFolder(path.join(root, folder));
  await record(node, actor, {
    kind: "workspace.added",
    facts: { name: file.name, root, file: await storeValue(node.blobs, parseValue(file)) },
  });
  return {
    name: file.name,
    root,
    file,
    changes: changes.map(({ text }) => text),
    created: [...(isMade ? [workspaceFileName] : []), ...missing],
  };
}

/** The workspace a request means: the one named, or the only one. @throws workspace.unknown, workspace.which */
export function workspaceOf(
  node: Pick<NodeContext, "registry">,
  name: string | undefined,
): RegisteredWorkspace {
  const { workspaces } = node.registry();
  const names = [...workspaces.keys()];
  const only = name ?? (names.length === 1 ? names[0] : undefined);
  if (only === undefined) {
    throw fault("workspace.which", `Cannot tell which of ${names.length} workspaces is meant`, {
      workspaces: names,
    });
  }
  const known = workspaces.get(only);
  if (known === undefined) {
    throw fault("workspace.unknown", `Cannot find the workspace \`${only}\``, {
      workspace: only,
      workspaces: names,
    });
  }
  return known;
}

export async function workspaceFileOf(
  node: Pick<NodeContext, "blobs">,
  known: RegisteredWorkspace,
): Promise<WorkspaceFile> {
  return parseWorkspace(await valueOf(node.blobs, known.file));
}

async function apiWorkspace(node: NodeContext, known: RegisteredWorkspace): Promise<Workspace> {
  return { name: known.name, root: known.root, file: await workspaceFileOf(node, known) };
}

function realFolder(folder: string): string {
  try {
    const root = realpathSync(folder);
    if (path.isAbsolute(folder) && statSync(root).isDirectory()) return root;
  } catch (error) {
    throw fault("workspace.folder", `Cannot use \`${folder}\` as a workspace`, { folder }, error);
  }
  throw fault(
    "workspace.folder",
    `Cannot use \`${folder}\` as a workspace: it is no absolute path of a folder`,
    { folder },
  );
}

function assertApart(root: string, other: RegisteredWorkspace): void {
  if (!isInside(root, other.root) && !isInside(other.root, root)) return;
  throw fault("workspace.exists", `Cannot add \`${root}\`: it overlaps the workspace \`${other.name}\``, {
    name: other.name,
    root: other.root,
  });
}

/** Folders of the system, with all that is in them. */
const systemFolders = [
  "/etc",
  "/usr",
  "/bin",
  "/sbin",
  "/lib",
  "/lib64",
  "/boot",
  "/proc",
  "/sys",
  "/dev",
  "/System",
];
/** Folders in which others have theirs: only as a whole. */
const sharedFolders = ["/var", "/var/lib", "/opt", "/srv", "/tmp", "/mnt", "/media", "/run"];

/** A rule is held to its workspace; a workspace that is the machine or the person holds it to nothing. */
function assertNoSystemFolder(root: string): void {
  const real = (folder: string) => (existsSync(folder) ? realpathSync(folder) : folder);
  // Below /dev/shm lies memory that everybody may use as folders.
  const isSystem =
    (systemFolders.some((folder) => isInside(root, real(folder))) && !isBelow(root, "/dev/shm")) ||
    sharedFolders.some((folder) => root === real(folder)) ||
    isInside(real(homedir()), root);
  if (!isSystem) return;
  throw fault(
    "workspace.system-folder",
    `Cannot use \`${root}\` as a workspace: it belongs to the system or is a whole home folder`,
    { root },
  );
}

/** Folders below the data folder that are the node's own. */
const ownFolders: ReadonlySet<string> = new Set(["ledger", "checkpoints", "blobs", "keys", "policies"]);

/** A rule must never reach the node's keys and ledger: neither a folder that holds them nor one of them is a workspace. */
function assertApartFromData(root: string, data: string): void {
  const [first = "", ...below] = path.relative(data, root).split(path.sep);
  const isOwn =
    isInside(root, data) && (ownFolders.has(first) || (first === "workspaces" && below.length === 0));
  if (!isOwn && !isInside(data, root)) return;
  throw fault(
    "workspace.data-folder",
    `Cannot use \`${root}\` as a workspace: it holds the node's own data`,
    {
      root,
      data,
    },
  );
}

/** A place must lie in the workspace, also when a folder on the way is a link: a file that came with a folder makes none elsewhere. */
function assertInside(root: string, name: string, place: string): void {
  const target = path.resolve(root, place);
  let existing = target;
  while (isInside(existing, root) && !existsSync(existing)) existing = path.dirname(existing);
  if (!path.isAbsolute(place) && isInside(target, root) && isInside(realpathSync(existing), root)) return;
  throw fault("workspace.file", `Cannot use \`${place}\` as \`${name}\`: it lies outside the workspace`, {
    name,
    place,
    root,
  });
}

function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true });
  } catch (error) {
    throw fault("workspace.folder", `Cannot make the folder \`${folder}\``, { folder }, error);
  }
}

function readWorkspace(root: string): { readonly file: WorkspaceFile; readonly isMade: boolean } {
  const file = path.join(root, workspaceFileName);
  let text: string;
  try {
    // Reading a pipe would wait for ever; what a link leads to could be written under its own name.
    const found = lstatSync(file);
    if (!found.isFile() || found.size > workspaceFileBytesMax) {
      throw fault(
        "workspace.file",
        `Cannot read \`${file}\`: it is no regular file of at most ${workspaceFileBytesMax} bytes`,
        { file, sizeBytesMax: workspaceFileBytesMax },
      );
    }
    text = readFileSync(file, "utf8");
  } catch (error) {
    if (hasCode(error, "workspace.file")) throw error;
    if (!hasErrno(error, "ENOENT"))
      throw fault("workspace.folder", `Cannot read \`${file}\``, { file }, error);
    return { file: createWorkspace(root, file), isMade: true };
  }
  try {
    const parsed = parseWorkspace(JSON.parse(text));
    return { file: parsed, isMade: false };
  } catch (error) {
    if (hasCode(error, "workspace.file")) throw error;
    if (hasCode(error, "core.schema-mismatch")) throw error;
    throw fault(
      "workspace.file",
      `Cannot read \`${file}\` as JSON: ${error instanceof Error ? error.message : ""}`,
      { file },
      error,
    );
  }
}

/** A small file to start from: an inbox, a folder for what is done, a journal, and no host. */
function createWorkspace(root: string, file: string): WorkspaceFile {
  const name = path
    .basename(root)
    .toLowerCase()
    .replaceAll(/[^a-z0-9_-]+/g, "-")
    .replace(/^[^a-z]+/, "")
    .slice(0, 64);
  const made: WorkspaceFile = {
    version: 1,
    name: name === "" ? "workspace" : name,
    zone: Intl.DateTimeFormat().resolvedOptions().timeZone,
    currencies: ["EUR"],
    folders: {
      inbox: { path: "inbox", words: { en: ["inbox"], fr: ["boîte de réception"] } },
      approved: { path: "approved", words: { en: ["approved"], fr: ["approuvés"] } },
    },
    files: { journal: { path: "journal.csv", words: { en: ["journal.csv"], fr: ["journal.csv"] } } },
    roles: {
      owner: { words: { en: ["owner"], fr: ["propriétaire"] } },
      accountant: { words: { en: ["accountant"], fr: ["comptable"] } },
      operator: { words: { en: ["operator"], fr: ["opérateur"] } },
    },
    tables: {
      inbox: {
        columns: {
          amount: {
            type: "decimal",
            currency: "EUR",
            min: "-1000000000000",
            max: "1000000000000",
            aliases: ["montant"],
          },
        },
      },
    },
    hosts: [],
    profile: "local_worker",
    settleMs: 500,
  };
  try {
    writeFileSync(file, `${JSON.stringify(made, null, 2)}\n`, { flag: "wx" });
  } catch (error) {
    throw fault("workspace.folder", `Cannot write \`${file}\``, { file }, error);
  }
  return made;
}

/** What the path leads to counts too: a link must not hide a shell. @throws workspace.file */
function assertProgram(root: string, name: string, program: WorkspaceProgram): void {
  const real = realpathSync.native(existsSync(program.path) ? program.path : "/");
  if (real === "/" || !statSync(real).isFile()) {
    throw coreFault(
      "workspace.file",
      `Cannot allow \`${program.path}\` as program \`${name}\`: it is no file here`,
      {
        at: `/programs/${name}/path`,
        path: program.path,
      },
    );
  }
  checkProgram(name, program, real);
  if (isInside(real, root)) {
    throw coreFault(
      "workspace.file",
      `Cannot allow \`${program.path}\` as program \`${name}\`: it lies in the workspace, where rules could replace it`,
      { at: `/programs/${name}/path`, path: program.path },
    );
  }
}

function isInside(inner: string, outer: string): boolean {
  return inner === outer || inner.startsWith(outer.endsWith(path.sep) ? outer : outer + path.sep);
}

function isBelow(inner: string, outer: string): boolean {
  return inner !== outer && isInside(inner, outer);
}

function hasErrno(error: unknown, code: string): boolean {
  return typeof error === "object" && error !== null && "code" in error && error.code === code;
}
