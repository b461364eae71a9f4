import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, mkdirSync, readFileSync, rmSync, symlinkSync, renameSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { pack } from "tar-stream";
import { expect, test } from "vitest";
import { ZipFile } from "yazl";
import { matchesGlob } from "../src/filesystem/glob.ts";
import { fsFault } from "../src/filesystem/fs-fault.ts";
import { bench } from "./support.ts";

const code = (wanted: string) => expect.objectContaining({ code: wanted });

type Headers = Parameters<ReturnType<typeof pack>["entry"]>[0];

async function tarOf(entries: readonly (readonly [Headers, string])[]): Promise<Buffer> {
  const tar = pack();
  for (const [header, content] of entries) tar.entry(header, content);
  tar.finalize();
  const parts: Buffer[] = [];
  for await (const part of tar as AsyncIterable<Uint8Array>) parts.push(Buffer.from(part));
  return Buffer.concat(parts);
}

async function zipOf(entries: readonly (readonly [string, Buffer, number?])[]): Promise<Buffer> {
  const zip = new ZipFile();
  for (const [name, content, mode] of entries)
    zip.addBuffer(content, name, mode === undefined ? {} : { mode });
  zip.end();
  const parts: Buffer[] = [];
  for await (const part of zip.outputStream) parts.push(Buffer.from(part));
  return Buffer.concat(parts);
}

test("F22 no archive, link or name writes the workspace file", async () => {
  using b = bench();
  b.file("workspace.json", "{}");
  b.file("a.zip", await zipOf([["workspace.json", Buffer.from("wide")]]));
  symlinkSync(".", join(b.root, "here"));
  for (const destination of [".", "here"]) {
    await expect(
      b.do("filesystem.extract_archive", { source: "a.zip", destination, overwrite: true }),
    ).rejects.toMatchObject({ code: "filesystem.workspace-file" });
  }
  await expect(
    b.do("filesystem.write_file", { path: "here/WORKSPACE.json", content: "wide", overwrite: true }),
  ).rejects.toMatchObject({ code: "filesystem.workspace-file" });
  await expect(b.do("filesystem.delete_file", { path: "workspace.json" })).rejects.toMatchObject({
    code: "filesystem.workspace-file",
  });
  expect(readFileSync(join(b.root, "workspace.json"), "utf8")).toBe("{}");
});

test("F14 archives with links, ways out, names twice or bombs are refused before anything is written", async () => {
  using b = bench();
  const slip = (name: string, as: string) => {
    // The writer refuses such names, so they are put into the finished bytes.
    return (bytes: Buffer) => Buffer.from(bytes.toString("latin1").replaceAll(name, as), "latin1");
  };
  const cases: readonly (readonly [string, Buffer, string])[] = [
    [
      "slip.zip",
      slip("xx/evil", "../evil")(await zipOf([["xx/evil", Buffer.from("x")]])),
      "filesystem.archive-entry",
    ],
    [
      "absolute.zip",
      slip("xevil", "/evil")(await zipOf([["xevil", Buffer.from("x")]])),
      "filesystem.archive-entry",
    ],
    ["link.zip", await zipOf([["l", Buffer.from("/etc/passwd"), 0o120777]]), "filesystem.archive-entry"],
    ["slip.tar", await tarOf([[{ name: "../evil" }, "x"]]), "filesystem.archive-entry"],
    ["absolute.tar", await tarOf([[{ name: "/evil" }, "x"]]), "filesystem.archive-entry"],
    [
      "link.tar",
      await tarOf([[{ name: "l", type: "symlink", linkname: "/etc" }, ""]]),
      "filesystem.archive-entry",
    ],
    ["hard.tar", await tarOf([[{ name: "l", type: "link", linkname: "x" }, ""]]), "filesystem.archive-entry"],
    ["pipe.tar", await tarOf([[{ name: "l", type: "fifo" }, ""]]), "filesystem.archive-entry"],
    [
      "twice.tar",
      await tarOf([
        [{ name: "a" }, "1"],
        [{ name: "./a" }, "2"],
      ]),
      "filesystem.archive-entry",
    ],
    ["back.tar", await tarOf([[{ name: "a\\..\\b" }, "1"]]), "filesystem.archive-entry"],
    ["bomb.zip", await zipOf([["zeros", Buffer.alloc(64 * 1024 * 1024)]]), "filesystem.archive-bomb"],
    [
      "bomb.tar.gz",
      gzipSync(await tarOf([[{ name: "zeros" }, "0".repeat(64 * 1024 * 1024)]])),
      "filesystem.archive-bomb",
    ],
    [
      "cut.tar.gz",
      gzipSync(await tarOf([[{ name: "a" }, "x".repeat(10_000)]])).subarray(0, 60),
      "filesystem.archive-damaged",
    ],
    ["cut.zip", (await zipOf([["a", Buffer.from("x")]])).subarray(0, 30), "filesystem.archive-damaged"],
    [
      "sum.zip",
      slip("content!", "kontent!")(await zipOf([["a", Buffer.from("content!")]])),
      "filesystem.archive-damaged",
    ],
    ["x.tar.bz2", Buffer.from("BZh91AY&SY"), "filesystem.archive-format"],
    ["none.zip", Buffer.from("hello"), "filesystem.archive-format"],
  ];
  for (const [name, bytes, wanted] of cases) {
    b.file(name, name === "sum.zip" ? await storedZipWithWrongSum() : bytes);
    await expect(
      b.do("filesystem.extract_archive", { source: name, destination: "out" }),
      name,
    ).rejects.toEqual(code(wanted));
    await expect(b.do("filesystem.get_file_info", { path: "out" })).resolves.toMatchObject({
      result: { exists: false },
    });
  }
  await expect(
    b.do("filesystem.create_archive", { source: "inbox", destination: "x", format: "tar.bz2" }),
  ).rejects.toEqual(code("filesystem.archive-format"));
  symlinkSync("a", join(b.root, "inbox/l"));
  await expect(b.do("filesystem.create_archive", { source: "inbox", destination: "x" })).rejects.toEqual(
    code("filesystem.archive-entry"),
  );
});

async function storedZipWithWrongSum(): Promise<Buffer> {
  const zip = new ZipFile();
  zip.addBuffer(Buffer.from("content!"), "a", { compress: false });
  zip.end();
  const parts: Buffer[] = [];
  for await (const part of zip.outputStream) parts.push(Buffer.from(part));
  return Buffer.from(Buffer.concat(parts).toString("latin1").replace("content!", "kontent!"), "latin1");
}

test("F14 archives written here are read by the system's own tools, and theirs here", async () => {
  using b = bench();
  b.file("inbox/é/a.txt", "a".repeat(100_000));
  mkdirSync(join(b.root, "inbox/empty"));
  for (const format of ["tar", "tar.gz"]) {
    await b.do("filesystem.create_archive", { source: "inbox", destination: `x.${format}`, format });
    const listed = execFileSync("tar", ["-tf", join(b.root, `x.${format}`)], {
      env: { ...process.env, LC_ALL: "C.UTF-8" },
    }).toString();
    expect(listed.split("\n").filter((line) => line !== "").length).toBe(4);
  }
  const python = "import sys,zipfile;z=zipfile.ZipFile(sys.argv[1]);print(z.testzip(),len(z.namelist()))";
  await b.do("filesystem.create_archive", { source: "inbox", destination: "x.zip" });
  expect(
    spawnSync("python3", ["-c", python, join(b.root, "x.zip")])
      .stdout.toString()
      .trim(),
  ).toBe("None 4");
  execFileSync("tar", ["-czf", join(b.root, "theirs.tgz"), "-C", join(b.root, "inbox"), "."]);
  expect(
    (await b.do("filesystem.extract_archive", { source: "theirs.tgz", destination: "out" })).result[
      "fileCount"
    ],
  ).toBe(1);
  expect(readFileSync(join(b.root, "out/é/a.txt"), "utf8")).toHaveLength(100_000);
});

test("F16 listing and searching name what is there and follow no links", async () => {
  using b = bench();
  b.file("inbox/a.csv", "x\nNeedle here\n");
  b.file("inbox/sub/b.CSV", "needle");
  b.file("inbox/.hidden/c.csv", "needle");
  b.file("inbox/bin.csv", Buffer.from([0xff, 0xfe, 0xfd]));
  symlinkSync("/etc", join(b.root, "inbox/etc"));
  const list = async (params: object) =>
    (await b.do("filesystem.list_directory", { path: "inbox", ...params })).performed.result;
  expect(await list({})).toMatchObject({
    count: 4,
    truncated: false,
    entries: [
      { path: "inbox/a.csv", kind: "file" },
      { name: "bin.csv" },
      { name: "etc", kind: "link" },
      { name: "sub", kind: "folder" },
    ],
  });
  expect(await list({ recursive: true, pattern: "*.csv" })).toMatchObject({ count: 3 });
  expect(await list({ recursive: true, include_hidden: true })).toMatchObject({ count: 7 });
  expect(await list({ max_results: 1 })).toMatchObject({ count: 1, truncated: true });
  const search = async (params: object) =>
    (await b.do("filesystem.search_files", { directory: ".", pattern: "*.csv", ...params })).performed.result;
  expect(await search({ content_pattern: "needle" })).toMatchObject({
    count: 3,
    files: [
      { path: "inbox/.hidden/c.csv", line: 1 },
      { path: "inbox/a.csv", line: 2 },
      { path: "inbox/sub/b.CSV", line: 1 },
    ],
  });
  expect(await search({ content_pattern: "needle", case_sensitive: true })).toMatchObject({ count: 1 });
  expect((await b.do("filesystem.get_file_info", { path: "inbox/etc" })).result).toMatchObject({
    exists: true,
    kind: "link",
  });
  expect(
    (await b.do("filesystem.compute_checksum", { path: "inbox/sub/b.CSV", algorithm: "md5" })).result[
      "checksum"
    ],
  ).toBe(createHash("md5").update("needle").digest("hex"));
});

test("F17 watch_path waits for a change, or says that none came", async () => {
  using b = bench();
  b.file("inbox/a", "1");
  const waiting = b.do("filesystem.watch_path", {
    path: "inbox",
    events: ["moved", "deleted", "created"],
    timeout: 10,
  });
  setTimeout(() => renameSync(join(b.root, "inbox/a"), join(b.root, "inbox/b")), 300);
  expect((await waiting).performed.result).toMatchObject({
    timedOut: false,
    events: [{ kind: "moved", path: "inbox/b", from: "inbox/a" }],
  });
  expect((await b.do("filesystem.watch_path", { path: "none", timeout: 1 })).result["timedOut"]).toBe(true);
});

test("F19 each failure of the system has its own code and remedy", () => {
  for (const [errno, wanted, kind] of [
    ["ENOSPC", "filesystem.disk-full", "transient"],
    ["EDQUOT", "filesystem.disk-full", "transient"],
    ["EACCES", "filesystem.permission", "rejected"],
    ["EROFS", "filesystem.read-only", "rejected"],
    ["EXDEV", "filesystem.other-device", "rejected"],
    ["ENOENT", "filesystem.not-found", "rejected"],
    ["EMFILE", "filesystem.too-many-open", "transient"],
    ["EIO", "filesystem.io", "broken"],
  ] as const) {
    const error = Object.assign(new Error(errno), { code: errno, syscall: "write" });
    expect(fsFault(error, "Cannot write", "x")).toMatchObject({ code: wanted, kind });
  }
});

const canMount =
  process.platform === "linux" &&
  process.getuid?.() === 0 &&
  spawnSync("unshare", ["-m", "true"]).status === 0;

test("F19 a full disk, a read-only folder and another file system lose nothing", ({ skip }) => {
  skip(!canMount, "needs the right to mount file systems");
  using b = bench();
  for (const folder of ["small", "ro"]) mkdirSync(join(b.root, folder));
  b.file("inbox/a", "a");
  const script = `
    import { readFileSync, readdirSync } from "node:fs";
    import { bench } from ${JSON.stringify(new URL("support.ts", import.meta.url).pathname)};
    const b = bench({ root: process.argv[1] });
    const codes = [];
    const attempt = (name, params) => b.do(name, params).then(() => codes.push("ok"), (error) => codes.push(error.code));
    const big = "x".repeat(200_000);
    await attempt("filesystem.write_file", { path: "small/a", content: big });
    await attempt("filesystem.append_file", { path: "small/log", content: "kept" });
    await attempt("filesystem.append_file", { path: "small/log", content: big });
    await attempt("filesystem.write_file", { path: "ro/a", content: "x" });
    await attempt("filesystem.move_file", { source: "inbox/a", destination: "small/a" });
    process.stdout.write(JSON.stringify({ codes, log: readFileSync(process.argv[1] + "/small/log", "utf8"), small: readdirSync(process.argv[1] + "/small"), inbox: readdirSync(process.argv[1] + "/inbox") }));
  `;
  const mounting = `mount -t tmpfs -o size=64k none "$1/small" && mount -t tmpfs -o ro none "$1/ro" && exec "$2" --conditions=@writ/source --input-type=module-typescript -e "$3" "$1"`;
  const ran = spawnSync("unshare", ["-m", "sh", "-c", mounting, "sh", b.root, process.execPath, script], {
    encoding: "utf8",
  });
  expect(ran.stderr).toBe("");
  expect(JSON.parse(ran.stdout)).toEqual({
    codes: [
      "filesystem.disk-full",
      "ok",
      "filesystem.disk-full",
      "filesystem.read-only",
      "filesystem.other-device",
    ],
    log: "kept\n",
    small: ["log"],
    inbox: ["a"],
  });
});

test("F20 what waits in a name of ours from a crash is never listed, taken or left", async () => {
  using b = bench();
  const name = `.writ-${"0".repeat(32)}.tmp`;
  b.file(`inbox/${name}`, "torn");
  expect(
    (await b.do("filesystem.list_directory", { path: "inbox", include_hidden: true })).result["count"],
  ).toBe(0);
  await expect(b.do("filesystem.write_file", { path: `inbox/${name}`, content: "" })).rejects.toEqual(
    code("filesystem.reserved-name"),
  );
  await b.do("filesystem.write_file", { path: "inbox/a", content: "a" }, { idempotencyKey: "0".repeat(32) });
  expect(() => readFileSync(join(b.root, "inbox", name))).toThrow("ENOENT");
  rmSync(join(b.root, "inbox/a"));
});

test("F21 patterns match names in linear time", () => {
  expect(matchesGlob("Invoice-1.CSV", "*.csv")).toBe(true);
  expect(matchesGlob("Invoice-1.CSV", "*.csv", true)).toBe(false);
  expect(matchesGlob("abc", "a?c")).toBe(true);
  expect(matchesGlob("abc", "a*d")).toBe(false);
  expect(matchesGlob("", "*")).toBe(true);
  expect(matchesGlob("a.b", "a[.]b")).toBe(false);
  expect(matchesGlob("a".repeat(5000), `${"*a".repeat(50)}b`)).toBe(false);
});

const canBeAnother = process.platform === "linux" && process.getuid?.() === 0;

test("F19 what the account may not read or write is a fault of permission", ({ skip }) => {
  skip(!canBeAnother, "needs root, to become somebody with fewer rights");
  using b = bench();
  b.file("inbox/secret", "secret");
  chmodSync(join(b.root, "inbox/secret"), 0o600);
  for (const folder of ["", "inbox"]) chmodSync(join(b.root, folder), 0o755);
  const script = `
    process.setgid(65534);
    process.setuid(65534);
    const codes = [];
    const attempt = (name, params) => b.do(name, params).then(() => codes.push("ok"), (error) => codes.push(error.code));
    await attempt("filesystem.read_file", { path: "inbox/secret" });
    await attempt("filesystem.write_file", { path: "inbox/new", content: "x" });
    await attempt("filesystem.append_file", { path: "inbox/secret", content: "x" });
    await attempt("filesystem.delete_file", { path: "inbox/secret" });
    await attempt("filesystem.create_directory", { path: "inbox/d" });
    process.stdout.write(JSON.stringify(codes));
  `;
  const start = `import { bench } from ${JSON.stringify(new URL("support.ts", import.meta.url).pathname)};
    const b = bench({ root: process.argv[1] });`;
  const args = ["--conditions=@writ/source", "--input-type=module-typescript", "-e", start + script, b.root];
  const ran = spawnSync(process.execPath, args, { encoding: "utf8" });
  expect(ran.stderr).toBe("");
  expect(JSON.parse(ran.stdout)).toEqual(Array.from({ length: 5 }, () => "filesystem.permission"));
});
