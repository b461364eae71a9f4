import { expect, test } from "vitest";
import { isWorkspaceFile, parseWorkspace } from "@writ/core/workspace";

const file = {
  version: 1,
  name: "w",
  zone: "Europe/Paris",
  currencies: [],
  folders: {},
  files: {},
  roles: {},
  tables: {},
  hosts: [],
  profile: "readonly",
};

test("Y1 the zone is one of IANA's", () => {
  for (const zone of ["UTC", "Europe/Paris", "America/Argentina/Ushuaia"])
    expect(parseWorkspace({ ...file, zone }).zone).toBe(zone);
  for (const zone of ["", "Nowhere/Else", "+01:00", "Europe/Paris\n"]) {
    expect(() => parseWorkspace({ ...file, zone }), zone).toThrowError(
      expect.objectContaining({ code: "workspace.file", facts: { at: "/zone", zone } }),
    );
  }
});

test("Y2 a place lies in the workspace by its path", () => {
  for (const path of ["inbox", "./inbox/", "a/b..c", ".", "été"]) {
    expect(parseWorkspace({ ...file, folders: { x: { path } } }).folders["x"]?.path).toBe(path);
  }
  for (const path of ["/etc", "..", "a/../..", "~/x", "C:/x", "a\\b", "a\nb", "a\u0000b"]) {
    for (const kind of ["folders", "files"]) {
      expect(() => parseWorkspace({ ...file, [kind]: { x: { path } } }), path).toThrowError(
        expect.objectContaining({ code: "workspace.file" }),
      );
    }
  }
});

test("Y3 the workspace file is known by every name that some file system takes for it", () => {
  for (const path of [
    "workspace.json",
    "./workspace.json",
    "WORKSPACE.Json",
    "work\u017fpace.json",
    "work\u200bspace.json",
    "workspace.json.",
  ])
    expect([path, isWorkspaceFile(path)]).toEqual([path, true]);
  for (const path of ["a/workspace.json", "workspace.json5", "my-workspace.json", "workspace", "."])
    expect([path, isWorkspaceFile(path)]).toEqual([path, false]);
});
