// What the node tells the module about the machine; nothing is read from the environment here.
export interface ExecOptions {
  /** Absolute path of bubblewrap; null: there is none. Absent: looked for where systems keep it. */
  readonly bubblewrap?: string | null;
  /** Folders that no sandboxed command sees, such as the node's data. */
  readonly hidden?: readonly string[];
  /** Variables by which programs find the desktop (`DISPLAY`, `WAYLAND_DISPLAY`, `XDG_RUNTIME_DIR` …); absent: there is none. */
  readonly desktop?: Readonly<Record<string, string>>;
}
