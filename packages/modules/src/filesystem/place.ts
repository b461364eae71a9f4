// What the workspace file says about a place, applied to where a path really leads.
import type { CallContext, Target } from "@writ/core/capability";
import type { Sha256 } from "@writ/core/ids";
import { isWorkspaceFile } from "@writ/core/workspace";
import { fault } from "../faults.ts";
import { openSpot, type Spot } from "./contained.ts";
import { isTemporaryName } from "./files.ts";

/** A place to read. A symbolic link at the end is resolved inside the workspace. */
export function placeToRead(path: string, context: CallContext): Spot {
  return openSpot(context.workspace.root, path, { followLast: true });
}

/** A place to write, through links inside the workspace. @throws filesystem.read-only-place, filesystem.reserved-name */
export function placeToWrite(path: string, context: CallContext): Spot {
  return checked(openSpot(context.workspace.root, path, { followLast: true }), context);
}

/** A name to move, remove or create: a symbolic link there is not followed. */
export function nameToChange(path: string, context: CallContext): Spot {
  return checked(openSpot(context.workspace.root, path, { followLast: false }), context);
}

function checked(spot: Spot, context: CallContext): Spot {
  try {
    assertWritable(spot.relative, context);
    return spot;
  } catch (error) {
    spot[Symbol.dispose]();
    throw error;
  }
}

/** @param relative with symbolic links resolved */
export function assertWritable(relative: string, context: CallContext): void {
  const name = relative.slice(relative.lastIndexOf("/") + 1);
  if (isTemporaryName(name)) {
    throw fault("filesystem.reserved-name", `Cannot use the name \`${name}\``, { path: relative });
  }
  // An archive, or a folder behind a link, may bring the name along: the gate sees only what the parameters name.
  if (isWorkspaceFile(relative)) {
    throw fault("filesystem.workspace-file", `Cannot write \`${relative}\`: no program changes it`, {
      path: relative,
    });
  }
  const { folders, files } = context.workspace.file;
  const places = [...Object.values(folders), ...Object.values(files)]
    .map(({ path, access }) => ({ path: path.replace(/^(\.\/)+|\/+$/g, "").replace(/^\.$/, ""), access }))
    .filter(({ path }) => path === "" || relative === path || relative.startsWith(`${path}/`));
  // The narrowest place that holds the path decides.
  const narrowest = places.toSorted((a, b) => b.path.length - a.path.length)[0];
  if (narrowest?.access === "read") {
    throw fault(
      "filesystem.read-only-place",
      `Cannot write \`${relative}\`: \`${narrowest.path}\` is for reading only`,
      { path: relative, place: narrowest.path },
    );
  }
}

export function fileTarget(spot: Spot, does: Target["does"], state: Sha256 | null): Target {
  return { kind: "file", name: spot.relative, resolved: spot.resolved, does, state };
}
