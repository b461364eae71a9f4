import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, symlinkSync, realpathSync } from "node:fs";
import process from "node:process";
import { expect, test } from "vitest";
import type { CallContext } from "@writ/core/capability";
import type { Value, ValueMap } from "@writ/core/value";
import type { WorkspaceFile } from "@writ/core/workspace";
import { parseWorkspace } from "@writ/core/workspace";
import { execCapabilities, type ExecOptions } from "@writ/modules/os-exec";
import { modulesOf } from "@writ/modules/registry";
import { bench, find, inspectWith, resolveWith, until, type Bench } from "./support.ts";

type Programs = NonNullable<WorkspaceFile["programs"]>;

const open = { risk: "low", sandbox: "none" } as const;
const programs: Programs = {
  echo: { ...open, path: "/bin/echo" },
  cat: { ...open, path: "/bin/cat" },
  sleep: { ...open, path: "/bin/sleep" },
  "sleep-again": { ...open, path: "/bin/sleep", idempotent: true },
  false: { ...open, path: "/bin/false" },
  node: { ...open, path: process.execPath, arguments: ["scripts/*.mjs"] },
  ls: { ...open, path: "/bin/ls", arguments: ["-l", "inbox", "*.csv"] },
  boxed: { risk: "low", path: "/bin/cat" },
};

function execBench(options: ExecOptions = {}, more: Partial<WorkspaceFile> = {}): Bench {
  return bench({
    workspace: { programs, profile: "power_user", ...more },
    modules: modulesOf(execCapabilities({ bubblewrap: null, ...options }), []),
  });
}

const run = (b: Bench, command: readonly string[], more: ValueMap = {}, context: Partial<CallContext> = {}) =>
  b.do("os_exec.run_command", { command: [...command], ...more }, context);

const alive = (pid: number): boolean => {
  try {
    return /^\d+ \(.*\) [^ZX]/s.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
};

test("X4 a command is a list: no shell reads it", async () => {
  using b = execBench();
  const { result } = await run(b, ["echo", "$HOME", "`id`", "a;b", "&&", "*"]);
  expect(result).toMatchObject({
    stdout: "$HOME `id` a;b && *\n",
    exitCode: 0,
    sandbox: "none",
    leftOutBytes: 0,
  });
});

test("K110 nothing may be run that the workspace does not list", async () => {
  using b = execBench({}, { programs: {} });
  await expect(run(b, ["echo", "x"])).rejects.toMatchObject({
    code: "exec.program-unknown",
    facts: { allowed: [] },
  });
  using c = execBench();
  for (const name of ["/bin/echo", "./echo", "ECHO", "toString", ""]) {
    await expect(run(c, [name])).rejects.toMatchObject({ code: "exec.program-unknown" });
  }
});

const base = {
  version: 1,
  name: "test",
  zone: "UTC",
  currencies: [],
  folders: {},
  files: {},
  roles: {},
  tables: {},
  hosts: [],
  profile: "power_user",
};

test.each([
  "/bin/sh",
  "/bin/bash",
  "/usr/bin/zsh",
  "/usr/bin/busybox",
  "/usr/bin/env",
  "/usr/bin/sudo",
  "/usr/bin/xargs",
  "/usr/bin/pwsh",
])("K175 %s cannot be an allowed program", (path) => {
  const file = { ...base, programs: { tool: { path, risk: "low" } } };
  expect(() => parseWorkspace(file)).toThrow(expect.objectContaining({ code: "workspace.file" }));
});

test("K62 an interpreter is allowed only with arguments that hand it no text", () => {
  const file = (args?: readonly string[]) => ({
    ...base,
    programs: {
      python: {
        path: "/usr/bin/python3.12",
        risk: "low",
        ...(args === undefined ? {} : { arguments: args }),
      },
    },
  });
  for (const args of [
    undefined,
    ["-c", "*"],
    ["*"],
    ["-*"],
    ["scripts/*.py", "-"],
    ["--eval=*"],
    ["--import=*"],
    ["?c"],
  ])
    expect(() => parseWorkspace(file(args)), String(args)).toThrow(
      expect.objectContaining({ code: "workspace.file" }),
    );
  expect(parseWorkspace(file(["scripts/*.py"])).programs).toBeDefined();
});

test("K175 a link that leads to a shell is refused when it is used", async () => {
  using b = execBench();
  symlinkSync("/bin/sh", `${b.root}/harmless`);
  using c = bench({
    root: b.root,
    workspace: { programs: { harmless: { ...open, path: `${b.root}/harmless` } } },
    modules: modulesOf(execCapabilities({ bubblewrap: null }), []),
  });
  await expect(run(c, ["harmless", "x"])).rejects.toMatchObject({ code: "exec.shell" });
});

test("K86 a path in any argument leads into the workspace", async () => {
  using b = execBench();
  b.file("inbox/a.txt", "inside");
  symlinkSync("/etc", `${b.root}/inbox/link`);
  expect((await run(b, ["cat", "inbox/a.txt"])).result["stdout"]).toBe("inside");
  expect((await run(b, ["cat", `${b.root}/inbox/a.txt`])).result["stdout"]).toBe("inside");
  for (const argument of [
    "/etc/passwd",
    "../x",
    "inbox/../../x",
    "--file=/etc/passwd",
    "-I/etc",
    "-xf/etc/passwd",
    "-xf../x",
    "-xf~/x",
    "file:///etc/passwd",
    "~/x",
    "@/etc/passwd",
    "inbox/link/passwd",
    "a:/etc/passwd",
  ]) {
    await expect(run(b, ["cat", argument]), argument).rejects.toMatchObject({ code: "exec.argument" });
  }
  await expect(run(b, ["echo", "x"], { working_directory: "../.." })).rejects.toMatchObject({
    code: "filesystem.path-parent",
  });
});

test("X5 arguments that the list does not know are refused", async () => {
  using b = execBench();
  b.file("inbox/a.csv", "x");
  expect((await run(b, ["ls", "inbox"])).result["stdout"]).toBe("a.csv\n");
  await expect(run(b, ["ls", "-R"])).rejects.toMatchObject({
    code: "exec.argument",
    facts: { index: 0 },
    message: expect.stringContaining("none of the workspace file's patterns fits it: `"),
  });
});

test("X5 a pattern for a folder does not reach what stands beside it", async () => {
  using b = execBench();
  b.file("inbox/evil.mjs", "console.log('evil')");
  b.file("scripts/deep/good.mjs", "console.log('good')");
  expect((await run(b, ["node", "scripts/deep/good.mjs"])).result["stdout"]).toBe("good\n");
  for (const argument of ["scripts/../inbox/evil.mjs", "scripts/deep/../../inbox/evil.mjs"]) {
    await expect(run(b, ["node", argument]), argument).rejects.toMatchObject({ code: "exec.argument" });
  }
});

test("K88 the environment of a command is what was declared, and nothing of the node's", async () => {
  using b = execBench();
  b.file("scripts/env.mjs", "console.log(JSON.stringify(process.env))");
  await b.do("os_exec.set_env_var", { name: "REGION", value: "north" });
  const { result } = await run(b, ["node", "scripts/env.mjs"], { env: { MODE: "dry" } });
  expect(JSON.parse(String(result["stdout"]))).toEqual({ REGION: "north", MODE: "dry" });
  for (const name of ["PATH", "LD_PRELOAD", "NODE_OPTIONS", "BASH_ENV", "API_TOKEN", "DB_PASSWORD"]) {
    await expect(run(b, ["echo"], { env: { [name]: "x" } }), name).rejects.toMatchObject({
      code: "exec.environment",
    });
    await expect(b.do("os_exec.set_env_var", { name, value: "x" }), name).rejects.toMatchObject({
      code: "exec.environment",
    });
  }
  expect((await b.do("os_exec.get_env_var", { name: "PATH" })).result).toEqual({
    name: "PATH",
    value: null,
    set: false,
  });
});

test("X6 a variable is taken back as it was", async () => {
  using b = execBench();
  const first = await b.do("os_exec.set_env_var", { name: "A", value: "1" });
  const second = await b.do("os_exec.set_env_var", { name: "A", value: "2" });
  await b.undo(second.performed);
  expect((await b.do("os_exec.get_env_var", { name: "A" })).result["value"]).toBe("1");
  await b.undo(first.performed);
  expect((await b.do("os_exec.get_env_var", { name: "A" })).result["set"]).toBe(false);
});

test("X7 input is given, and an exit code other than 0 is a fault with what was said", async () => {
  using b = execBench();
  expect((await run(b, ["cat"], { stdin: "été" })).result["stdout"]).toBe("été");
  b.file("scripts/fail.mjs", "console.error('no such customer'); process.exit(3)");
  await expect(run(b, ["node", "scripts/fail.mjs"])).rejects.toMatchObject({
    code: "exec.exit",
    facts: { exitCode: 3, stderr: "no such customer\n" },
  });
});

test("X3 a command that does not end in time is ended with its children's children, its outcome unknown", async () => {
  using b = execBench();
  b.file(
    "scripts/tree.mjs",
    `import { spawn } from "node:child_process";
     import { writeFileSync } from "node:fs";
     process.on("SIGTERM", () => {});
     if (process.argv.length < 3) {
       const child = spawn(process.execPath, ["scripts/tree.mjs", "child"], { stdio: "inherit" });
       writeFileSync("pids", process.pid + " " + child.pid);
     } else {
       const grandchild = spawn("/bin/sleep", ["60"], { stdio: "inherit" });
       writeFileSync("grandchild", String(grandchild.pid));
     }
     setInterval(() => {}, 1000);`,
  );
  const ended = run(b, ["node", "scripts/tree.mjs"], { timeout: 1 });
  await expect(ended).rejects.toMatchObject({ code: "exec.timeout", facts: { outcome: "unknown" } });
  const pids = `${readFileSync(`${b.root}/pids`, "utf8")} ${readFileSync(`${b.root}/grandchild`, "utf8")}`;
  const numbers = pids.split(" ").map(Number);
  expect(numbers).toHaveLength(3);
  await until(() => numbers.every((pid) => !alive(pid)));
});

test("X3 what a command leaves behind in its group ends with it", async () => {
  using b = execBench();
  b.file(
    "scripts/leave.mjs",
    `import { spawn } from "node:child_process";
     const child = spawn("/bin/sleep", ["60"], { stdio: "ignore" });
     console.log(child.pid); child.unref();`,
  );
  const { result } = await run(b, ["node", "scripts/leave.mjs"]);
  await until(() => !alive(Number(result["stdout"])));
});

test("K116 output over its bound is cut, marked, counted, and kept whole beside the result", async () => {
  using b = execBench();
  b.file("scripts/much.mjs", "process.stdout.write('begin ' + 'x'.repeat(300_000) + ' end')");
  const { result } = await run(
    b,
    ["node", "scripts/much.mjs"],
    {},
    { attach: (bytes) => b.blobs.put(bytes) },
  );
  expect(result["stdoutBytes"]).toBe(300_010);
  const text = String(result["stdout"]);
  expect(text.length).toBeLessThan(70_000);
  expect(/^begin x+\n\[… \d+ bytes left out …\]\nx+ end$/.test(text)).toBe(true);
  expect(text).toContain(`[… ${String(result["leftOutBytes"])} bytes left out …]`);
  const whole = await b.blobs.get(String(result["stdoutSha256"]) as never);
  expect(whole.length).toBe(300_010);
});

test("X1 nothing is started before that is durable, and progress names the process", async () => {
  using b = execBench();
  const told: Value[] = [];
  let durable = (): void => undefined;
  const first = new Promise<void>((resolve) => (durable = resolve));
  const progress = async (value: Value): Promise<void> => {
    told.push(value);
    if (told.length === 1) await first;
  };
  const running = run(b, ["echo", "hi"], {}, { progress });
  await until(() => told.length === 1);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(told).toEqual([{ phase: "starting", program: "echo", sandbox: "none" }]);
  durable();
  await running;
  expect(told[1]).toMatchObject({
    phase: "running",
    pid: expect.any(Number),
    startTicks: expect.any(Number),
  });
  expect(told.at(-1)).toMatchObject({ stdoutBytes: 3, tail: "hi\n" });
});

test("X2 after a crash: never started is not done; started is for a person; the list may say that again is right", async () => {
  using b = execBench();
  const command = find(b.modules, "os_exec.run_command");
  const asked = (program: string, lastProgress?: Value) =>
    resolveWith(
      command,
      { command: [program, "60"] },
      b.context(lastProgress === undefined ? {} : { lastProgress }),
    );
  expect(await asked("sleep")).toEqual({ kind: "not-done" });
  expect(await asked("sleep", { phase: "starting" })).toMatchObject({ kind: "unknown" });
  expect(await asked("sleep-again", { phase: "starting" })).toEqual({ kind: "not-done" });

  let last: Value = null;
  const stop = new AbortController();
  const running = run(
    b,
    ["sleep-again", "60"],
    {},
    { signal: stop.signal, progress: async (value) => void (last = value) },
  );
  running.catch(() => undefined);
  await until(() => (last as { readonly phase?: string } | null)?.phase === "running");
  const { pid } = last as unknown as { readonly pid: number };
  expect(await asked("sleep", last)).toMatchObject({
    kind: "unknown",
    reason: expect.stringContaining(String(pid)),
  });
  expect(alive(pid)).toBe(true);
  // To be done again, the one that is left over is ended first.
  expect(await asked("sleep-again", last)).toEqual({ kind: "not-done" });
  await until(() => !alive(pid));
  await expect(running).rejects.toMatchObject({ code: "exec.exit" });
});

test("X2 told to stop, a command is ended and says that its outcome is unknown", async () => {
  using b = execBench();
  const stop = new AbortController();
  const told: Value[] = [];
  const running = run(
    b,
    ["sleep", "60"],
    {},
    { signal: stop.signal, progress: async (value) => void told.push(value) },
  );
  await until(() => told.length > 1);
  stop.abort();
  await expect(running).rejects.toMatchObject({ code: "exec.stopped", facts: { outcome: "unknown" } });
});

test("K174 a program that needs a sandbox is refused where there is none, before anything is done", async () => {
  using b = execBench();
  const command = find(b.modules, "os_exec.run_command");
  await expect(inspectWith(command, { command: ["boxed"] }, b.context())).rejects.toMatchObject({
    code: "exec.sandbox-missing",
  });
});

const bubblewrap = [process.env["WRIT_TEST_BWRAP"] ?? "", "/usr/bin/bwrap", "/usr/local/bin/bwrap"].find(
  (at) => at !== "" && existsSync(at),
);

test("X12 looking shows the sandbox and the network that the command would have here", async () => {
  using b = execBench();
  const { inspection } = await run(b, ["echo", "x"]);
  expect(inspection.targets).toMatchObject([{ name: ".", conditions: "sandbox: none, network: any" }]);
});

/** Why no sandbox can be had here, or null. */
function sandboxMissing(): string | null {
  if (bubblewrap === undefined) return "bubblewrap is not installed (`npm run setup:system` installs it)";
  const args = ["--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "--", "/bin/true"];
  const { status, stderr } = spawnSync(bubblewrap, args, { encoding: "utf8" });
  return status === 0 ? null : `bubblewrap is not permitted here: ${stderr.trim().slice(0, 200)}`;
}

test("X8 in the sandbox only the working folder is written, other homes and the network are not there", async ({
  skip,
}) => {
  const missing = sandboxMissing();
  skip(missing !== null, missing ?? "");
  using b = execBench(
    { bubblewrap: bubblewrap ?? null },
    { programs: { node: { risk: "low", path: process.execPath, arguments: ["../scripts/*.mjs"] } } },
  );
  b.file(
    "scripts/look.mjs",
    `import { writeFileSync, readdirSync, existsSync } from "node:fs";
     import { networkInterfaces } from "node:os";
     const may = (at) => { try { writeFileSync(at, "x"); return true; } catch { return false; } };
     console.log(JSON.stringify({ here: may("x"), above: may("../y"), etc: may("/etc/writ-x"),
       tmp: readdirSync("/tmp"), nets: Object.keys(networkInterfaces()), home: existsSync("/root/.bashrc") }));`,
  );
  const { result, inspection } = await run(b, ["node", "../scripts/look.mjs"], {
    working_directory: "inbox",
  });
  expect(result["sandbox"]).toBe("bubblewrap");
  expect(inspection.before).toMatchObject({ sandbox: "bubblewrap" });
  expect(inspection.targets).toMatchObject([{ conditions: "sandbox: bubblewrap, network: none" }]);
  // Of the temporary folder only what it works on and is made of, where that stands there.
  const mounted = [b.root, realpathSync(process.execPath)].filter((at) => at.startsWith("/tmp/"));
  const mountedIn = new Set(mounted.map((at) => at.split("/")[2] ?? ""));
  expect(JSON.parse(String(result["stdout"]))).toEqual({
    here: true,
    above: false,
    etc: false,
    tmp: expect.toSatisfy(
      (names: readonly string[]) =>
        names.length === mountedIn.size && names.every((name) => mountedIn.has(name)),
    ),
    nets: ["lo"],
    home: false,
  });
});

test("X9 only what this workspace started can be ended, by number and time of start", async () => {
  using b = execBench();
  const told: Value[] = [];
  const running = run(b, ["sleep", "60"], {}, { progress: async (value) => void told.push(value) });
  running.catch(() => undefined);
  await until(() => told.length > 1);
  const { pid } = told[1] as unknown as { readonly pid: number };
  expect((await b.do("os_exec.get_process_info", { pid })).result).toMatchObject({
    pid,
    name: "sleep",
    own: true,
  });
  const { processes } = (await b.do("os_exec.list_processes", { name_filter: "SLEEP" })).result as {
    readonly processes: readonly { readonly pid: number }[];
  };
  expect(processes.map((each) => each.pid)).toContain(pid);
  await expect(b.do("os_exec.kill_process", { pid: process.pid })).rejects.toMatchObject({
    code: "exec.foreign-process",
  });
  expect((await b.do("os_exec.kill_process", { pid })).result).toEqual({
    pid,
    signal: "SIGTERM",
    ended: true,
  });
  await expect(running).rejects.toMatchObject({ code: "exec.exit", facts: { signal: "SIGTERM" } });
  await expect(b.do("os_exec.kill_process", { pid })).rejects.toMatchObject({ code: "exec.process-missing" });
});

test("X10 an application needs a desktop; one that was opened can be closed", async () => {
  using b = execBench();
  await expect(b.do("os_exec.open_application", { application: "sleep" })).rejects.toMatchObject({
    code: "exec.no-desktop",
  });
  using c = execBench({ desktop: { DISPLAY: ":0" } });
  const { result } = await c.do("os_exec.open_application", { application: "sleep", arguments: ["60"] });
  expect(alive(Number(result["pid"]))).toBe(true);
  expect((await c.do("os_exec.close_application", { application_name: "sleep" })).result).toEqual({
    application: "sleep",
    closed: 1,
    left: 0,
  });
  expect(alive(Number(result["pid"]))).toBe(false);
});

test("X11 figures of the machine are those that were asked for", async () => {
  using b = execBench();
  expect(Object.keys((await b.do("os_exec.get_system_info", {})).result).sort()).toEqual([
    "cpu",
    "disk",
    "memory",
    "os",
  ]);
  expect(Object.keys((await b.do("os_exec.get_system_info", { include: ["network"] })).result)).toEqual([
    "network",
  ]);
});
