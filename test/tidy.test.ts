// Style is a test: what can be checked about the whole repository is checked here, with the remedy in the message.
import { execFileSync } from "node:child_process";
import { existsSync, globSync, readFileSync } from "node:fs";
import path from "node:path";
import { functionArity } from "@writ/core/expression";
import * as limits from "@writ/core/limits";
import { expect, test } from "vitest";
import { renderApi } from "../scripts/render-api.ts";
import { faultTables, renderFaults } from "../scripts/render-faults.ts";

const root = path.dirname(import.meta.dirname);
const read = (file: string): string => readFileSync(path.join(root, file), "utf8");
const find = (pattern: string): readonly string[] =>
  globSync(pattern, { cwd: root, exclude: ["**/node_modules/**", "**/dist/**", "**/gen/**"] }).toSorted();

const packages = find("packages/*/package.json").map((file) => path.basename(path.dirname(file)));
const sources = find("packages/*/src/**/*.ts");
const tests = [...find("packages/*/test/**/*.test.ts"), ...find("test/**/*.test.ts")];
const tracked = execFileSync("git", ["ls-files", "-z"], { cwd: root, encoding: "utf8" })
  .split("\0")
  .filter((file) => file !== "" && existsSync(path.join(root, file)));

/** Which packages a package's source may import: a star around core. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  core: [],
  compiler: ["core"],
  verifier: ["core"],
  runtime: ["core"],
  store: ["core"],
  modules: ["core"],
  sdk: ["core"],
  cli: ["core", "sdk"],
  server: ["core", "compiler", "verifier", "runtime", "store", "modules"],
  testkit: ["core", "compiler", "verifier", "runtime", "store", "modules"],
};

interface Import {
  readonly file: string;
  readonly from: string;
}

function importsOf(file: string): readonly Import[] {
  const pattern =
    /^\s*(?:import|export)\b[^"';]*?from\s+"([^"]+)"|^\s*import\s+"([^"]+)"|\bimport\(\s*"([^"]+)"\s*\)/gm;
  return [...read(file).matchAll(pattern)].map((match) => ({
    file,
    from: match[1] ?? match[2] ?? match[3] ?? "",
  }));
}

function packageOf(file: string): string {
  return file.split("/")[1] ?? "";
}

test("T1 packages form a star: each imports only what the table allows", () => {
  expect(packages.filter((name) => !Object.hasOwn(mayImport, name))).toEqual([]);
  const wrong = sources
    .flatMap(importsOf)
    .filter(({ file, from }) => {
      const name = /^@writ\/([^/]+)/.exec(from)?.[1];
      return name !== undefined && !(mayImport[packageOf(file)] ?? []).includes(name);
    })
    .map(({ file, from }) => `${file} imports ${from}: move what both need into core, or let server wire it`);
  expect(wrong).toEqual([]);
});

test("T2 tests import their own package, what it may import, and testkit", () => {
  const wrong = find("packages/*/test/**/*.ts")
    .flatMap(importsOf)
    .filter(({ file, from }) => {
      const name = /^@writ\/([^/]+)/.exec(from)?.[1];
      const own = packageOf(file);
      return name !== undefined && ![own, "testkit", ...(mayImport[own] ?? [])].includes(name);
    })
    .map(({ file, from }) => `${file} imports ${from}: use a simulated implementation from testkit`);
  expect(wrong).toEqual([]);
});

test("T3 relative imports stay inside their package and name the file", () => {
  const wrong = sources
    .flatMap(importsOf)
    .filter(({ file, from }) => {
      if (!from.startsWith(".")) return false;
      const target = path.posix.join(path.posix.dirname(file), from);
      return !target.startsWith(`packages/${packageOf(file)}/src/`) || !/\.(ts|js|json)$/.test(from);
    })
    .map(
      ({ file, from }) => `${file} imports ${from}: import packages by name and files with their extension`,
    );
  expect(wrong).toEqual([]);
});

test("T4 core imports no platform module and only core/schema knows the schema library", () => {
  const wrong = sources
    .flatMap(importsOf)
    .filter(({ file, from }) => {
      if (packageOf(file) === "core" && from.startsWith("node:")) return true;
      return (from === "typebox" || from.startsWith("typebox/")) && file !== "packages/core/src/schema.ts";
    })
    .map(({ file, from }) => `${file} imports ${from}`);
  expect(wrong).toEqual([]);
});

test("T5 packages declare exactly the packages of ours that they import", () => {
  const wrong: string[] = [];
  for (const name of packages) {
    const manifest: { dependencies?: Record<string, string> } = JSON.parse(
      read(`packages/${name}/package.json`),
    );
    const declared = Object.keys(manifest.dependencies ?? {}).filter((key) => key.startsWith("@writ/"));
    const used = new Set(
      sources
        .filter((file) => packageOf(file) === name)
        .flatMap(importsOf)
        .map(({ from }) => /^@writ\/[^/]+/.exec(from)?.[0])
        .filter((from) => from !== undefined),
    );
    for (const from of used) {
      if (!declared.includes(from)) wrong.push(`packages/${name} imports ${from} and does not declare it`);
    }
  }
  expect(wrong).toEqual([]);
});

test("T6 files are kebab-case and named for what they hold", () => {
  const code = tracked.filter((file) => /\.(ts|mjs|js|sh)$/.test(file) && !file.includes("/gen/"));
  const wrong = code.filter((file) => {
    const name = path.basename(file).replace(/(\.(test|property|sim|d|bench|config))*\.[a-z]+$/, "");
    return (
      !/^[a-z0-9]+(-[a-z0-9]+)*$/.test(name) || ["utils", "helpers", "common", "types", "misc"].includes(name)
    );
  });
  expect(wrong, "name the file after its main export, in kebab-case").toEqual([]);
});

test("T7 a file past 800 lines says why in its header", () => {
  const long = sources.filter((file) => {
    const lines = read(file).split("\n");
    return lines.length > 800 && !lines.slice(0, 12).some((line) => line.startsWith("// Long because "));
  });
  expect(long, "split by idea, or write `// Long because …` at the top").toEqual([]);
});

test("T8 modules name what they export", () => {
  const wrong = sources.filter((file) => /^export \* from/m.test(read(file)));
  expect(wrong, "write the names out").toEqual([]);
});

test("T9 ids are made by their makers only", () => {
  const brands = [...read("packages/core/src/ids.ts").matchAll(/^export type (\w+) = Brand</gm)].map(
    (match) => match[1],
  );
  expect(brands.length).toBeGreaterThan(5);
  const cast = new RegExp(`\\bas (${brands.join("|")})\\b`);
  const wrong = sources.filter(
    (file) =>
      file !== "packages/core/src/ids.ts" &&
      read(file)
        .split("\n")
        .some((line) => cast.test(line)),
  );
  expect(wrong, "call the maker in core/ids instead of a cast").toEqual([]);
});

test("T10 every dependency is pinned exactly", () => {
  const wrong: string[] = [];
  for (const file of ["package.json", ...find("packages/*/package.json")]) {
    const manifest: Record<string, Record<string, string> | undefined> = JSON.parse(read(file));
    for (const kind of ["dependencies", "devDependencies", "optionalDependencies", "overrides"]) {
      for (const [name, version] of Object.entries(manifest[kind] ?? {})) {
        if (!/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version)) wrong.push(`${file}: ${name}@${version}`);
      }
    }
  }
  expect(wrong, "write one exact version").toEqual([]);
});

test("T11 every package says what it is for and which rules it keeps", () => {
  const wrong = packages
    .filter((name) => find(`packages/${name}/src/**/*.ts`).length > 0)
    .flatMap((name) => [`packages/${name}/README.md`, `packages/${name}/SPEC.md`])
    .filter((file) => !existsSync(path.join(root, file)));
  expect(wrong, "write the file").toEqual([]);
});

/** Numbers a test may carry: those its package's SPEC.md defines, those in the headers of its files, and the known failures. */
function knownNumbers(file: string): Set<string> {
  const own = packageOf(file);
  const spec = file.startsWith("packages/") ? `packages/${own}/SPEC.md` : "test/SPEC.md";
  const headers = sources
    .filter((source) => packageOf(source) === own)
    .flatMap((source) => read(source).split("\n"))
    .filter((line) => /^\/\/ {3}[A-Z]/.test(line));
  const texts = [
    existsSync(path.join(root, spec)) ? read(spec) : "",
    headers.join("\n"),
    read("docs/known-failures.md"),
  ];
  return new Set(texts.flatMap((text) => text.match(ruleNumber) ?? []));
}

/** `L4`, `K31`, `T12a`; in the verifier also the bare number of a check. */
const ruleNumber = /\b(?:[A-Z]{1,3}\d+[a-z]?|\d{1,2})\b/g;

test("T12 every test carries the number of a rule that exists", () => {
  const wrong: string[] = [];
  for (const file of tests) {
    const known = knownNumbers(file);
    const titles = read(file).matchAll(/^\s*(?:test|it)(?:\.\w+)*(?:\([^"'`\n]*\))?\(\s*(["'`])(.*?)\1/gm);
    for (const [, , title = ""] of titles) {
      const numbers = /^(?:(?:[A-Z]{1,3}\d+[a-z]?|\d{1,2})[ ,/]+)+/.exec(title)?.[0].match(ruleNumber) ?? [];
      if (numbers.length === 0 && !title.startsWith("$"))
        wrong.push(`${file}: "${title}" carries no rule number`);
      for (const number of numbers) {
        if (!known.has(number))
          wrong.push(`${file}: "${title}": no rule ${number} in its SPEC.md or the known failures`);
      }
    }
  }
  expect(wrong).toEqual([]);
});

test("T13 no test is left out without a reason, and none runs alone", () => {
  const wrong = tests.filter((file) =>
    /\b(test|it|describe)\.(skip|skipIf|runIf|todo|only)\b/.test(read(file)),
  );
  expect(wrong, "inside the test, say `skip(condition, reason)`").toEqual([]);
});

test("T14 every fault code is documented, once, with a remedy, and every route", async () => {
  const codes = new Map<string, string>();
  for (const { area, table } of await faultTables()) {
    for (const [code, { remedy }] of Object.entries(table)) {
      expect(codes.get(code), `${code} is in the tables of two packages`).toBeUndefined();
      expect(code).toMatch(/^[a-z]+([-_][a-z0-9]+)*(\.[a-z0-9]+([-_][a-z0-9]+)*)+$/);
      expect(remedy.length, `${code} has no remedy`).toBeGreaterThan(10);
      codes.set(code, area);
    }
  }
  expect(codes.size).toBeGreaterThan(10);
  expect(
    read("docs/faults.md") === (await renderFaults()),
    "docs/faults.md is old: run `npm run faults`",
  ).toBe(true);
  const api = read("docs/http-api.md");
  expect(api === renderApi(api), "docs/http-api.md is old: run `npm run faults`").toBe(true);
});

test("T15 a word means what the glossary says, and its rejected synonyms are not used", () => {
  const rows = [...read("GLOSSARY.md").matchAll(/^\| \*\*(.+?)\*\* \| (.+?) \| (.*?) ?\|$/gm)];
  const words = rows.map((row) => row[1]);
  const needed = ["rule", "plan", "program", "step", "slot", "capability", "module", "run", "entry", "node"];
  expect(needed.filter((word) => !words.includes(word))).toEqual([]);
  // Synonyms marked with an asterisk are words of other standards that code has to speak; the rest may not name anything here.
  const rejected = rows.flatMap((row) => (row[3] ?? "").split(", ")).filter((word) => /^[a-z]+$/.test(word));
  expect(rejected.length).toBeGreaterThan(5);
  const declared = new RegExp(
    `^export (?:async )?(?:function|const|class|interface|type) (?:\\w*?)(${rejected.join("|")})\\b`,
    "im",
  );
  const wrong = sources.filter((file) => declared.test(read(file)));
  expect(wrong, "use the glossary's word").toEqual([]);
});

test("T16 the project speaks of itself alone", () => {
  // Written in pieces, so that this file does not contain what it looks for.
  const foreign = [
    "/wo" + "rk/",
    "/tmp/br" + "ief",
    "../sha" + "red/",
    "DESI" + "GN.md",
    "STY" + "LE.md",
    "claude",
    "anthropic.com",
    "sub-?agent",
    "this ses" + "sion",
    "registry\\.npm" + "js",
    "co-auth" + "ored",
  ];
  const pattern = new RegExp(foreign.join("|"), "i");
  const text = /\.(ts|mjs|js|json|md|sh|ya?ml|rule|proto|txt)$|^\.ci\/|^bin\//;
  const wrong = tracked
    .filter((file) => text.test(file) && !file.endsWith("package-lock.json") && file !== "test/tidy.test.ts")
    .flatMap((file) => {
      const found = pattern.exec(read(file));
      return found === null ? [] : [`${file}: ${found[0]}`];
    });
  expect(wrong).toEqual([]);
});

test("T17 the page about expressions names every function and the limits in force", () => {
  const page = read("docs/expressions.md");
  const named = [...page.matchAll(/^\|(.*?)\|/gm)].flatMap(([, cell = ""]) =>
    [...cell.matchAll(/`(\w+)\(/g)].map((match) => match[1] ?? ""),
  );
  expect(named.toSorted()).toEqual(Object.keys(functionArity).toSorted());
  for (const limit of [limits.expressionLengthMax, limits.expressionDepthMax, limits.expressionItemsMax]) {
    expect(page).toContain(limit.toLocaleString("en"));
  }
});

test("K216 whatever committed source imports is committed too", () => {
  const known = new Set(tracked);
  const wrong = tracked
    .filter((file) => /^(packages|scripts|test|bench)\/.*\.ts$/.test(file))
    .flatMap(importsOf)
    .filter(
      ({ file, from }) => from.startsWith(".") && !known.has(path.posix.join(path.posix.dirname(file), from)),
    )
    .map(({ file, from }) => `${file} imports ${from}: commit it, or take the import away`);
  expect(wrong).toEqual([]);
});

test("K222 every rule of a SPEC has a test that carries its number, or is listed as untested", () => {
  const listed: Readonly<Record<string, readonly string[]>> = JSON.parse(read("test/untested-rules.json"));
  const wrong: string[] = [];
  for (const spec of [...find("packages/*/SPEC.md"), "test/SPEC.md"]) {
    const place = path.posix.dirname(spec);
    const folder = place === "test" ? "test" : `${place}/test`;
    const cited = new Set(find(`${folder}/**/*.ts`).flatMap((file) => read(file).match(ruleNumber) ?? []));
    for (const [, rule = ""] of read(spec).matchAll(/^(?:[-*|] *)?\**([A-Z]{1,3}\d+[a-z]?)\**[ |.:]/gm)) {
      if (!cited.has(rule) && !(listed[place] ?? []).includes(rule))
        wrong.push(`${spec}: ${rule} has no test`);
    }
  }
  expect(wrong).toEqual([]);
});

test("K217 the product never calls itself certified", () => {
  const documents = tracked.filter((file) => file.endsWith(".md") && file !== "docs/known-failures.md");
  const wrong = documents.filter((file) =>
    /\bWrit (is|has been|was) (fully )?certified\b|\bcertified (by|for|to)\b/i.test(read(file)),
  );
  expect(wrong, "say what evidence there is").toEqual([]);
});
