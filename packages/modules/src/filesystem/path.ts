// Paths as parameters name them: relative to the workspace, `/` between folders.
//   F1  A path names a place inside the workspace or is refused: `..`, NUL, control characters, backslashes, unpaired surrogates,
//       names over 255 bytes and absolute paths outside the root each have their own fault.
import { pathLengthMax } from "@writ/core/limits";
import { fault } from "../faults.ts";
import { nameBytesMax } from "../limits.ts";

/** Names from the root down; the root itself is the empty list. @throws filesystem.path-… */
export function parsePath(root: string, text: string): readonly string[] {
  const shown = JSON.stringify(text.slice(0, 200)).slice(1, -1);
  if (text === "") throw fault("filesystem.path-invalid", "Cannot use an empty path");
  if (text.length > pathLengthMax) {
    throw fault("filesystem.path-too-long", `Cannot use a path of ${text.length} characters`, {
      lengthMax: pathLengthMax,
    });
  }
  // oxlint-disable-next-line no-control-regex
  if (/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(text) || !text.isWellFormed()) {
    throw fault("filesystem.path-control", `Cannot use the path \`${shown}\`: it holds a control character`, {
      path: shown,
    });
  }
  if (text.includes("\\")) {
    throw fault("filesystem.path-backslash", `Cannot use the path \`${shown}\`: it holds a backslash`, {
      path: shown,
    });
  }
  const names = insideOf(root, text)
    .split("/")
    .filter((name) => name !== "" && name !== ".");
  for (const name of names) {
    if (name === "..") {
      throw fault("filesystem.path-parent", `Cannot use the path \`${shown}\`: it holds \`..\``, {
        path: shown,
      });
    }
    if (Buffer.byteLength(name) > nameBytesMax) {
      throw fault(
        "filesystem.path-too-long",
        `Cannot use the name \`${name.slice(0, 40)}…\`: it is too long`,
        {
          nameBytesMax,
        },
      );
    }
  }
  return names;
}

function insideOf(root: string, text: string): string {
  if (!text.startsWith("/")) return text;
  const folder = root.endsWith("/") ? root : `${root}/`;
  if (text === root || `${text}/` === folder) return ".";
  if (text.startsWith(folder)) return text.slice(folder.length);
  throw fault("filesystem.outside", `Cannot use \`${text.slice(0, 200)}\`: it is outside the workspace`, {
    path: text.slice(0, 1000),
    root,
  });
}
