// Every capability and source against the contract: schemas, phrases, undo, crash resolution.
import {
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  chmodSync,
  mkdirSync,
} from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Capability, Performed } from "@writ/core/capability";
import type { ValueMap } from "@writ/core/value";
import { modulesFaults } from "@writ/modules/faults";
import { builtInModules } from "@writ/modules/registry";
import { bench, find, inspectWith, resolveWith, type Bench } from "./support.ts";

const modules = builtInModules();
const named = modules.all().map((capability) => [capability.id, capability] as const);

type Json = { readonly [key: string]: unknown };
const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Where a schema leaves the subset: open objects, unbounded texts and lists, transforms. An empty schema means any value. */
function outsideSubset(schema: unknown, at = ""): readonly string[] {
  if (!isObject(schema)) return [`${at} is no schema`];
  const problems: string[] = [];
  if ("anyOf" in schema && Array.isArray(schema["anyOf"])) {
    problems.push(...schema["anyOf"].flatMap((each: unknown, i) => outsideSubset(each, `${at}|${i}`)));
  } else if (schema["x-decimal"] === true) return [];
  else if (schema["type"] === "object") {
    const isRecord = isObject(schema["patternProperties"]);
    if (!isRecord && schema["additionalProperties"] !== false) problems.push(`${at} is open`);
    for (const [key, each] of Object.entries(Object(schema["properties"] ?? {})))
      problems.push(...outsideSubset(each, `${at}/${key}`));
    for (const [key, each] of Object.entries(Object(schema["patternProperties"] ?? {})))
      problems.push(...outsideSubset(each, `${at}/${key}`));
  } else if (schema["type"] === "array") {
    if (typeof schema["maxItems"] !== "number") problems.push(`${at} is an unbounded list`);
    problems.push(...outsideSubset(schema["items"], `${at}[]`));
  } else if (schema["type"] === "string") {
    if (typeof schema["maxLength"] !== "number" && !("enum" in schema) && !("const" in schema))
      problems.push(`${at} is unbounded`);
  } else if (
    schema["type"] !== undefined &&
    !(["boolean", "integer", "number", "null"] as unknown[]).includes(schema["type"])
  ) {
    problems.push(`${at} is a ${JSON.stringify(schema["type"])}`);
  }
  return problems;
}

const propertiesOf = (schema: unknown): Json => Object(Object(schema)["properties"]);

test.each(named)("M1 K119 %s keeps the contract", (_id, capability) => {
  expect(outsideSubset(capability.params)).toEqual([]);
  expect(outsideSubset(capability.result)).toEqual([]);
  expect(capability.summary.en).not.toBe("");
  expect(capability.summary.fr).not.toBe("");
  expect(typeof capability.perform).toBe("function");
  for (const code of capability.retryOn) {
    expect(Object.entries(modulesFaults).find(([known]) => known === code)?.[1].kind, code).toBe("transient");
  }
  const params = propertiesOf(capability.params);
  for (const { param } of capability.resources) expect(params).toHaveProperty(param);
  if (capability.effect.kind === "write") {
    const undo = modules.find(capability.effect.undo);
    expect(undo, capability.effect.undo).toBeDefined();
    if (capability.internal !== true) expect(undo?.internal).toBe(true);
  }
  // K94: also what only undoes names its targets, so that the gate can look at them.
  if (capability.effect.kind !== "read") expect(typeof capability.inspect).toBe("function");
  expect(capability.crash === "queryable").toBe(capability.resolve !== undefined);
  if (capability.internal === true) expect(capability.phrases).toEqual({ en: [], fr: [] });
  expect(capability.phrases.en.length === 0).toBe(capability.phrases.fr.length === 0);
  const phrases = [
    ...capability.phrases.en,
    ...capability.phrases.fr,
    ...(capability.nouns ?? []).flatMap(({ phrases: each }) => [...each.en, ...each.fr]),
  ];
  for (const phrase of phrases) {
    for (const [, param = ""] of phrase.matchAll(/\{(\w+)\}/g)) expect(params, phrase).toHaveProperty(param);
    expect(phrase.replace(/\{\w+\}/g, "")).toMatch(/^[\p{Ll} '-]+$/u);
  }
  for (const { field } of capability.nouns ?? [])
    expect(propertiesOf(capability.result)).toHaveProperty(field);
});

test("K86 every parameter that names a place says so in its schema", () => {
  for (const [id, capability] of named) {
    for (const { kind, param } of capability.resources) {
      if (kind === "memory") continue;
      const schema = Object(propertiesOf(capability.params)[param]);
      expect(kind === "host" ? schema["x-host"] : schema["x-path"], `${id} ${param}`).toBeTruthy();
    }
    for (const [name, schema] of Object.entries(propertiesOf(capability.params))) {
      if (!/^(path|source|destination|directory|url)$/.test(name)) continue;
      expect(
        capability.resources.some(({ param }) => param === name),
        `${id} ${name}`,
      ).toBe(true);
      expect(Object(schema)["x-path"] ?? Object(schema)["x-host"], `${id} ${name}`).toBeTruthy();
    }
  }
});

test("M2 the actions have exactly the documented parameters and defaults", () => {
  const documented: Record<string, string> = {
    "filesystem.read_file": "path encoding?=utf-8 start_line? end_line? max_bytes?",
    "filesystem.write_file": "path content encoding?=utf-8 create_dirs?=false overwrite?=true",
    "filesystem.append_file": "path content encoding?=utf-8 newline?=true",
    "filesystem.copy_file": "source destination overwrite?=false",
    "filesystem.move_file": "source destination overwrite?=false",
    "filesystem.delete_file": "path recursive?=false",
    "filesystem.create_directory": "path parents?=true exist_ok?=true",
    "filesystem.list_directory": "path recursive?=false pattern? include_hidden?=false max_results?=500",
    "filesystem.search_files": "directory pattern content_pattern? case_sensitive?=false max_results?=100",
    "filesystem.get_file_info": "path",
    "filesystem.create_archive": "source destination format?=zip",
    "filesystem.extract_archive": "source destination overwrite?=false",
    "filesystem.compute_checksum": "path algorithm?=sha256",
    "filesystem.watch_path": "path events?=created,modified,deleted timeout?=60",
    "api_http.http_get":
      "url headers?={} params?={} timeout?=30 follow_redirects?=true verify_ssl?=true auth? cookies?={}",
    "api_http.http_head": "url headers?={} timeout?=10 follow_redirects?=true verify_ssl?=true",
    "api_http.http_post":
      "url headers?={} body_json? data? form? raw_body? timeout?=30 follow_redirects?=true verify_ssl?=true auth? cookies?={}",
    "api_http.http_put": "url headers?={} body_json? data? raw_body? timeout?=30 verify_ssl?=true auth?",
    "api_http.http_patch": "url headers?={} body_json? data? timeout?=30 verify_ssl?=true",
    "api_http.http_delete": "url headers?={} timeout?=30 verify_ssl?=true body_json?",
    "api_http.download_file":
      "url destination headers?={} timeout?=300 verify_ssl?=true chunk_size?=65536 auth? overwrite?=true",
    "api_http.check_url_availability": "url timeout?=10 expected_status? verify_ssl?=true",
    "csv.read_table": "path",
    "csv.aggregate": "path column",
    "csv.append_row": "path values",
    "os_exec.run_command": "command working_directory? env? timeout?=30 capture_output?=true stdin?",
    "os_exec.list_processes": "name_filter? include_children?=false",
    "os_exec.kill_process": "pid signal?=SIGTERM",
    "os_exec.get_process_info": "pid",
    "os_exec.open_application": "application arguments?= working_directory?",
    "os_exec.close_application": "application_name force?=false",
    "os_exec.set_env_var": "name value scope?=process",
    "os_exec.get_env_var": "name",
    "os_exec.get_system_info": "include?=cpu,memory,disk,os",
    "memory.recall": "scope key",
    "memory.remember": "scope key value",
    "model.ask": "model context prompt schema attemptsMax",
  };
  const shown = named
    .filter(([, capability]) => capability.internal !== true)
    .map(([id, { params }]) => {
      const required: unknown = Object(params)["required"];
      const fields = Object.entries(propertiesOf(params)).map(([name, schema]) => {
        const preset: unknown = Object(schema)["default"];
        const text = preset === undefined ? "" : `=${JSON.stringify(preset).replace(/["[\]]/g, "")}`;
        return `${name}${Array.isArray(required) && required.includes(name) ? "" : "?"}${text}`;
      });
      return [id.slice(0, id.indexOf("@")), fields.join(" ")] as const;
    });
  expect(Object.fromEntries(shown)).toEqual(documented);
});

test("M3 sources have phrases, closed configurations and events whose texts have a language", () => {
  for (const { definition } of modules.sources()) {
    expect(outsideSubset(definition.config)).toEqual([]);
    expect(outsideSubset(definition.event)).toEqual([]);
    for (const [name, schema] of Object.entries(propertiesOf(definition.event))) {
      if (Object(schema)["type"] === "string") expect(Object(schema)["x-language"], name).toBeTruthy();
    }
    for (const phrase of [...definition.phrases.en, ...definition.phrases.fr]) {
      for (const [, param = ""] of phrase.matchAll(/\{(\w+)\}/g))
        expect(propertiesOf(definition.config)).toHaveProperty(param);
    }
  }
});

/** Path → kind, mode and content of everything below the root. */
function treeOf(root: string): Record<string, string> {
  const tree: Record<string, string> = {};
  for (const path of readdirSync(root, { recursive: true, encoding: "utf8" })) {
    const at = join(root, path);
    const stat = lstatSync(at);
    const content = stat.isFile()
      ? readFileSync(at, "base64")
      : stat.isSymbolicLink()
        ? readlinkSync(at)
        : "";
    tree[path] =
      `${stat.isDirectory() ? "folder" : stat.isFile() ? "file" : "link"} ${(stat.mode & 0o777).toString(8)} ${content}`;
  }
  return tree;
}

/** A workspace with something of everything, and one call of each capability that writes. */
async function prepared(): Promise<{
  readonly b: Bench;
  readonly calls: readonly (readonly [string, ValueMap])[];
}> {
  const b = bench();
  b.file("inbox/a.csv", "number,amount\n1,2.50\n");
  b.file("inbox/b.txt", "old");
  chmodSync(join(b.root, "inbox/b.txt"), 0o640);
  b.file("tree/x/1.txt", "one");
  b.file("tree/x/y/2.txt", "two");
  mkdirSync(join(b.root, "tree/empty"));
  symlinkSync("x/1.txt", join(b.root, "tree/link"));
  b.file("pack/p.txt", "p");
  b.file("pack/q/r.txt", "r");
  for (const format of ["zip", "tar", "tar.gz"]) {
    await b.do("filesystem.create_archive", { source: "pack", destination: `pack.${format}`, format });
  }
  b.file("pack/p.txt", "changed since it was packed");
  return {
    b,
    calls: [
      ["filesystem.write_file", { path: "inbox/b.txt", content: "new" }],
      ["filesystem.write_file", { path: "n/m/c.txt", content: "new", create_dirs: true }],
      ["filesystem.append_file", { path: "inbox/b.txt", content: "more" }],
      ["filesystem.append_file", { path: "fresh.txt", content: "first" }],
      ["csv.append_row", { path: "inbox/a.csv", values: ["2", "x,y"] }],
      ["csv.append_row", { path: "journal.csv", values: ["a", 1] }],
      ["filesystem.copy_file", { source: "inbox/a.csv", destination: "approved/a.csv" }],
      ["filesystem.copy_file", { source: "inbox/a.csv", destination: "inbox/b.txt", overwrite: true }],
      ["filesystem.move_file", { source: "inbox/a.csv", destination: "approved/a.csv" }],
      ["filesystem.move_file", { source: "inbox/a.csv", destination: "inbox/b.txt", overwrite: true }],
      ["filesystem.delete_file", { path: "inbox/b.txt" }],
      ["filesystem.delete_file", { path: "tree", recursive: true }],
      ["filesystem.create_directory", { path: "f/g/h" }],
      ["filesystem.create_archive", { source: "pack", destination: "approved/x.zip" }],
      [
        "filesystem.create_archive",
        { source: "inbox/b.txt", destination: "approved/x.tar.gz", format: "tar.gz" },
      ],
      ["filesystem.extract_archive", { source: "pack.zip", destination: "out/zip" }],
      ["filesystem.extract_archive", { source: "pack.tar", destination: "out" }],
      ["filesystem.extract_archive", { source: "pack.tar.gz", destination: ".", overwrite: true }],
    ],
  };
}

const callNames = await prepared().then(({ b, calls }) => {
  b[Symbol.dispose]();
  return calls.map(([name, params], index) => [`${name} ${JSON.stringify(params)}`, index] as const);
});

test.each(callNames)(
  "M4 M5 %s is undone exactly, and resolved after a crash on either side",
  async (_name, index) => {
    const { b, calls } = await prepared();
    using _closing = b;
    const [name, params] = calls[index] ?? ["", {}];
    const capability = find(b.modules, name);
    const before = treeOf(b.root);

    const context = b.context();
    const inspection = await inspectWith(capability, params, context);
    expect(treeOf(b.root)).toEqual(before);
    const acting = { ...context, before: inspection.before };
    expect(await resolveWith(capability, params, acting)).toEqual({ kind: "not-done" });
    expect(treeOf(b.root)).toEqual(before);

    const predicted = await capability.predict?.(params, context);
    expect(treeOf(b.root)).toEqual(before);
    const performed = await capability.perform(params, acting);
    if (predicted !== undefined) expect(predicted).toEqual(performed.result);
    const after = treeOf(b.root);
    expect(after).not.toEqual(before);
    expect(Object.keys(after).filter((path) => path.includes(".writ-"))).toEqual([]);

    // The node died before it could record the outcome.
    const resolution = await resolveWith(capability, params, acting);
    expect(resolution).toMatchObject({ kind: "done" });
    expect(treeOf(b.root)).toEqual(after);
    if (resolution.kind !== "done") return;
    expect(resolution.performed.result).toEqual(performed.result);

    await undoWithCrash(b, resolution.performed);
    expect(treeOf(b.root)).toEqual(before);
  },
);

/** Undoes, and asks the undo itself what became of it, as after a crash. */
async function undoWithCrash(b: Bench, performed: Performed): Promise<void> {
  if (performed.undo === null) throw new Error("no undo");
  const undo: Capability = find(b.modules, performed.undo.capability);
  const context = b.context();
  const { before } = await inspectWith(undo, performed.undo.params, context);
  const acting = { ...context, before };
  if (undo.resolve !== undefined) {
    expect(await resolveWith(undo, performed.undo.params, acting)).toEqual({ kind: "not-done" });
  }
  await undo.perform(performed.undo.params, acting);
  if (undo.resolve !== undefined) {
    expect(await resolveWith(undo, performed.undo.params, acting)).toMatchObject({ kind: "done" });
  } else {
    await undo.perform(performed.undo.params, acting);
  }
}

const names = fc.constantFrom("a", "b", "inbox/a", "inbox/b", "new/a", "j.csv");
const operation = fc.oneof(
  fc.record({
    name: fc.constant("filesystem.write_file"),
    params: fc.record({
      path: names,
      content: fc.string(),
      create_dirs: fc.boolean(),
      overwrite: fc.boolean(),
    }),
  }),
  fc.record({
    name: fc.constant("filesystem.append_file"),
    params: fc.record({ path: names, content: fc.string(), newline: fc.boolean() }),
  }),
  fc.record({
    name: fc.constant("csv.append_row"),
    params: fc.record({ path: names, values: fc.array(fc.string(), { minLength: 1, maxLength: 3 }) }),
  }),
  fc.record({
    name: fc.constantFrom("filesystem.move_file", "filesystem.copy_file"),
    params: fc.record({ source: names, destination: names, overwrite: fc.boolean() }),
  }),
  fc.record({
    name: fc.constant("filesystem.delete_file"),
    params: fc.record({ path: fc.oneof(names, fc.constant("new")), recursive: fc.boolean() }),
  }),
  fc.record({
    name: fc.constant("filesystem.create_directory"),
    params: fc.record({ path: fc.constantFrom("new", "new/deep", "b") }),
  }),
);

test("M4 K92 any sequence of writes, undone in reverse, leaves what was there", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(operation, { maxLength: 10 }), async (operations) => {
      using b = bench();
      b.file("inbox/a", "start\n");
      b.file("b", "no line end");
      const before = treeOf(b.root);
      const done: Performed[] = [];
      for (const { name, params } of operations) {
        try {
          done.push((await b.do(name, params)).performed);
        } catch (error) {
          // Refused with a code; what is refused leaves nothing behind.
          expect(error).toHaveProperty("remedy");
        }
      }
      for (const performed of done.toReversed()) await b.undo(performed);
      expect(treeOf(b.root)).toEqual(before);
      expect(existsSync(join(b.root, "new"))).toBe(false);
    }),
    {
      numRuns: 20,
      // Found once: what an undo puts back is another inode, and the undo before it must still know the file.
      examples: [
        [
          [
            {
              name: "filesystem.write_file",
              params: { path: "inbox/b", content: "", create_dirs: false, overwrite: false },
            },
            { name: "filesystem.append_file", params: { path: "inbox/b", content: "F", newline: true } },
            { name: "filesystem.delete_file", params: { path: "inbox/b", recursive: false } },
          ],
        ],
        [
          [
            {
              name: "filesystem.write_file",
              params: { path: "inbox/b", content: "", create_dirs: false, overwrite: false },
            },
            { name: "csv.append_row", params: { path: "inbox/b", values: [""] } },
            {
              name: "filesystem.move_file",
              params: { source: "inbox/a", destination: "inbox/b", overwrite: true },
            },
          ],
        ],
        [
          [
            { name: "filesystem.create_directory", params: { path: "new/deep" } },
            {
              name: "filesystem.write_file",
              params: { path: "new/a", content: "", create_dirs: false, overwrite: false },
            },
            { name: "filesystem.delete_file", params: { path: "new", recursive: true } },
          ],
        ],
      ],
    },
  );
});
