// JSON with places: what the platform's parser cannot say and a plan's author needs. RFC 8259, plus: no duplicate keys, no number that would
// lose digits, no lone surrogates, nothing nested deeper than `valueDepthMax`.
import { faultRecord, faultsOf } from "@writ/core/fault";
import { planBytesMax, valueDepthMax } from "@writ/core/limits";
import { decimal, decimalText, type Value } from "@writ/core/value";
import { planFaults } from "./faults.ts";
import { pointer, problem, type PlanProblem } from "./problem.ts";

interface Place {
  /** Characters [start, end) of the text. */
  readonly start: number;
  readonly end: number;
  /** JSON pointer. */
  readonly at: string;
}

export type JsonNode = Place &
  (
    | { readonly kind: "scalar"; readonly value: null | boolean | number | string }
    | { readonly kind: "list"; readonly items: readonly JsonNode[] }
    | { readonly kind: "object"; readonly fields: ReadonlyMap<string, JsonNode> }
  );

export type JsonReading =
  | { readonly kind: "read"; readonly root: JsonNode }
  | { readonly kind: "unreadable"; readonly problem: PlanProblem };

export function readJson(text: string): JsonReading {
  if (text.length > planBytesMax) {
    return {
      kind: "unreadable",
      problem: problem("plan.too-large", "", `Cannot take a plan of ${text.length} characters`, {
        sizeMax: planBytesMax,
      }),
    };
  }
  try {
    return { kind: "read", root: parseText(text) };
  } catch (error) {
    const record = faultRecord(error);
    if (record === undefined) throw error;
    const { at, ...facts } = record.facts;
    return {
      kind: "unreadable",
      problem: {
        code: record.code,
        message: record.message,
        at: String(at),
        span: null,
        remedy: record.remedy,
        facts,
      },
    };
  }
}

/** The characters of the node that a pointer names, or of the nearest one around it. */
export function spanAt(root: JsonNode, at: string): readonly [number, number] {
  let node = root;
  for (const part of at.split("/").slice(1)) {
    const key = part.replaceAll("~1", "/").replaceAll("~0", "~");
    const inner =
      node.kind === "object"
        ? node.fields.get(key)
        : node.kind === "list"
          ? node.items[Number(key)]
          : undefined;
    if (inner === undefined) break;
    node = inner;
  }
  return [node.start, node.end];
}

/** The node as a value, without its places. */
export function valueOf(node: JsonNode): Value {
  switch (node.kind) {
    case "scalar":
      return node.value;
    case "list":
      return node.items.map(valueOf);
    case "object":
      return Object.fromEntries([...node.fields].map(([key, item]) => [key, valueOf(item)]));
  }
}

const fault = faultsOf(planFaults);
const numberPattern = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
// oxlint-disable-next-line no-control-regex -- JSON texts may not hold them (RFC 8259, section 7)
const plainPattern = /[^"\\\u0000-\u001f]*/y;
const spacePattern = /[ \t\n\r]*/y;
const escapes: Readonly<Record<string, string>> = {
  '"': '"',
  "\\": "\\",
  "/": "/",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
};

function parseText(text: string): JsonNode {
  let position = text.startsWith("\ufeff") ? 1 : 0;

  function refuse(
    code: "plan.json" | "plan.duplicate-key" | "plan.number" | "plan.too-large",
    what: string,
    at: string,
  ): never {
    const before = text.slice(0, position);
    const line = before.split("\n").length;
    const column = position - before.lastIndexOf("\n");
    throw fault(code, `Cannot read the plan: ${what} at line ${line}, column ${column}`, {
      at,
      line,
      column,
      offset: position,
      context: text.slice(Math.max(0, position - 40), position + 40),
    });
  }

  function match(pattern: RegExp): string {
    pattern.lastIndex = position;
    const found = pattern.exec(text)?.[0] ?? "";
    position += found.length;
    return found;
  }

  function shown(): string {
    return position >= text.length
      ? "the end of the text"
      : `\`${String.fromCodePoint(text.codePointAt(position) ?? 0)}\``;
  }

  function readText(at: string): string {
    position++;
    let out = "";
    for (;;) {
      out += match(plainPattern);
      const character = text[position];
      if (character === '"') break;
      if (character !== "\\") refuse("plan.json", `a text is not closed before ${shown()}`, at);
      const escape = text[position + 1] ?? "";
      const hex = text.slice(position + 2, position + 6);
      if (escape === "u" && /^[0-9a-fA-F]{4}$/.test(hex)) {
        out += String.fromCharCode(Number.parseInt(hex, 16));
        position += 6;
      } else if (Object.hasOwn(escapes, escape)) {
        out += escapes[escape];
        position += 2;
      } else refuse("plan.json", "an unknown escape", at);
    }
    if (!out.isWellFormed()) refuse("plan.json", "half a surrogate pair", at);
    position++;
    return out;
  }

  function readNumber(at: string): number {
    const start = position;
    const written = match(numberPattern);
    const amount = Number(written);
    if (!Number.isFinite(amount) || !isExact(written, amount)) {
      position = start;
      refuse("plan.number", `the number ${written.slice(0, 60)} cannot be held exactly`, at);
    }
    return amount;
  }

  function readNode(at: string, depth: number): JsonNode {
    if (depth > valueDepthMax) refuse("plan.too-large", `more than ${valueDepthMax} levels`, at);
    match(spacePattern);
    const start = position;
    const node = readBare(at, depth);
    const end = position;
    match(spacePattern);
    return { ...node, start, end, at };
  }

  function readBare(at: string, depth: number) {
    const character = text[position] ?? "";
    if (character === "{") return { kind: "object", fields: readFields(at, depth) } as const;
    if (character === "[") return { kind: "list", items: readItems(at, depth) } as const;
    if (character === '"') return { kind: "scalar", value: readText(at) } as const;
    if (character === "-" || (character >= "0" && character <= "9")) {
      numberPattern.lastIndex = position;
      if (numberPattern.test(text)) return { kind: "scalar", value: readNumber(at) } as const;
    }
    for (const [word, value] of [
      ["true", true],
      ["false", false],
      ["null", null],
    ] as const) {
      if (text.startsWith(word, position)) {
        position += word.length;
        return { kind: "scalar", value } as const;
      }
    }
    return refuse("plan.json", `expected a value, found ${shown()}`, at);
  }

  function readItems(at: string, depth: number): readonly JsonNode[] {
    const items: JsonNode[] = [];
    position++;
    match(spacePattern);
    if (text[position] === "]") {
      position++;
      return items;
    }
    for (;;) {
      items.push(readNode(pointer(at, items.length), depth + 1));
      const character = text[position];
      if (character !== "," && character !== "]")
        refuse("plan.json", `expected \`,\` or \`]\`, found ${shown()}`, at);
      position++;
      if (character === "]") return items;
    }
  }

  function readFields(at: string, depth: number): ReadonlyMap<string, JsonNode> {
    const fields = new Map<string, JsonNode>();
    position++;
    match(spacePattern);
    if (text[position] === "}") {
      position++;
      return fields;
    }
    for (;;) {
      match(spacePattern);
      if (text[position] !== '"')
        refuse("plan.json", `expected a field name in double quotes, found ${shown()}`, at);
      const start = position;
      const key = readText(at);
      if (fields.has(key)) {
        position = start;
        refuse("plan.duplicate-key", `a second field \`${key.slice(0, 80)}\``, pointer(at, key));
      }
      match(spacePattern);
      if (text[position] !== ":") refuse("plan.json", `expected \`:\`, found ${shown()}`, pointer(at, key));
      position++;
      fields.set(key, readNode(pointer(at, key), depth + 1));
      const character = text[position];
      if (character !== "," && character !== "}")
        refuse("plan.json", `expected \`,\` or \`}\`, found ${shown()}`, at);
      position++;
      if (character === "}") return fields;
    }
  }

  const root = readNode("", 0);
  if (position < text.length) refuse("plan.json", `more text after the plan: ${shown()}`, "");
  return root;
}

/** Whether the double is the number that was written: 0.10 is, 9007199254740993 is not. */
function isExact(written: string, amount: number): boolean {
  if (/^-?\d{1,15}$/.test(written)) return true;
  try {
    return decimalText(decimal(written)) === decimalText(decimal(amount));
  } catch {
    return false;
  }
}
