// What is known of a value before it exists: its schema, its place in event or slot, its dimension, and the language of a text.
import type { Expression } from "@writ/core/expression";
import type { FrozenWorkspace } from "@writ/core/program";
import type { Schema } from "@writ/core/schema";
import { basenameLanguage, plainPathLanguage, segmentsOf } from "../automata/path.ts";
import { patternLanguage } from "../automata/pattern.ts";
import { anything, concat, word, type Regular } from "../automata/regular.ts";
import type { Analysis } from "./analysis.ts";

export type Kind = "number" | "integer" | "boolean" | "text" | "list" | "map" | "unknown";

/** A schema read as plain data: it comes from catalogs and programs, which are data. */
export type SchemaData = Readonly<Record<string, unknown>>;

/** A name followed by fixed fields: `event.data.name`, `s2.sum`. */
export interface AccessPath {
  readonly root: string;
  readonly fields: readonly string[];
}

export function accessPath(expression: Expression): AccessPath | null {
  const fields: string[] = [];
  let at = expression;
  while (at.kind === "field") {
    fields.unshift(at.field);
    at = at.of;
  }
  return at.kind === "name" ? { root: at.name, fields } : null;
}

export function pathText(path: AccessPath): string {
  return [path.root, ...path.fields].join(".");
}

const textSchema: SchemaData = { type: "string" };

/** The schema of what an access path names, or null when nothing is known. */
export function schemaOf(analysis: Analysis, path: AccessPath): SchemaData | null {
  const { root, fields } = path;
  if (root === "event") {
    const [first, ...rest] = fields;
    if (first === "data") {
      return analysis.source === null ? null : descend(schemaData(analysis.source.event), rest);
    }
    return first === undefined || rest.length > 0 ? null : textSchema;
  }
  const varies = analysis.varying.get(root);
  if (varies !== undefined) {
    // What a declaration says of such a slot nobody checks: a list's own schema tells what its elements are, and a number without bounds
    // is all that a declared number is taken for.
    const list = varies.elementOf === null ? null : accessPath(varies.elementOf);
    const items = list === null || list.root === root ? null : itemsOf(schemaOf(analysis, list));
    if (items !== null) return descend(items, fields);
    const stated = analysis.program.slots.find((slot) => slot.name === root)?.schema;
    const kind = stated === undefined || fields.length > 0 ? "unknown" : kindOf(schemaData(stated));
    return kind === "number" || kind === "integer" ? { type: "number" } : null;
  }
  const writers = analysis.writers.get(root);
  const declared = analysis.program.slots.find((slot) => slot.name === root)?.schema;
  const results = (writers ?? []).flatMap((site) =>
    site.action === null ? [] : [schemaData(site.action.definition.result)],
  );
  const [result] = results;
  const fromResult = result !== undefined && results.length === 1 ? descend(result, fields) : null;
  return fromResult ?? (declared === undefined ? null : descend(schemaData(declared), fields));
}

export function schemaData(schema: Schema): SchemaData {
  return schema as unknown as SchemaData;
}

function descend(schema: SchemaData, fields: readonly string[]): SchemaData | null {
  let at: SchemaData | null = schema;
  for (const field of fields) {
    if (at === null) return null;
    const properties: unknown = present(at)["properties"];
    const next: unknown =
      typeof properties === "object" && properties !== null && Object.hasOwn(properties, field)
        ? Reflect.get(properties, field)
        : undefined;
    at = typeof next === "object" && next !== null ? (next as SchemaData) : null;
  }
  return at;
}

function itemsOf(schema: SchemaData | null): SchemaData | null {
  const items: unknown = schema === null ? undefined : present(schema)["items"];
  return typeof items === "object" && items !== null && !Array.isArray(items) ? (items as SchemaData) : null;
}

/** A schema without its `null` alternative. */
export function present(schema: SchemaData): SchemaData {
  const options = schema["anyOf"];
  if (!Array.isArray(options)) return schema;
  const rest = options.filter(
    (option: unknown) =>
      typeof option === "object" && option !== null && Reflect.get(option, "type") !== "null",
  );
  return rest.length === 1 ? (rest[0] as SchemaData) : schema;
}

export function kindOf(schema: SchemaData | null): Kind {
  if (schema === null) return "unknown";
  const one = present(schema);
  if (one["x-decimal"] === true) return "number";
  const literal =
    one["const"] ?? (Array.isArray(one["enum"]) ? (one["enum"] as readonly unknown[])[0] : undefined);
  if (typeof literal === "string") return "text";
  switch (one["type"]) {
    case "number":
      return "number";
    case "integer":
      return "integer";
    case "boolean":
      return "boolean";
    case "string":
      return "text";
    case "array":
      return "list";
    case "object":
      return "map";
    default:
      return "unknown";
  }
}

export interface ColumnUse {
  readonly column: FrozenWorkspace["columns"][number] | null;
  readonly columnName: string;
  readonly field: string;
}

const aggregateFields = new Set(["sum", "min", "max", "count"]);

/** Set when the path is a field of an aggregate over a named column: `sum`, `min`, `max` or `count`. */
export function columnOf(analysis: Analysis, path: AccessPath): ColumnUse | null {
  const [field, ...rest] = path.fields;
  const [site, ...others] = analysis.writers.get(path.root) ?? [];
  if (field === undefined || rest.length > 0 || site?.action == null || others.length > 0) return null;
  if (!aggregateFields.has(field)) return null;
  const column = site.action.params.get("column");
  if (column?.kind !== "literal" || typeof column.value !== "string") return null;
  const name = column.value;
  const file = site.action.params.get("path");
  const folder = file === undefined ? null : folderOf(analysis, file);
  const known = analysis.program.workspace.columns.filter((one) => one.column === name);
  const found = known.find((one) => {
    const place = analysis.program.workspace.folders.find((each) => each.name === one.folder);
    return folder !== null && place !== undefined && segmentsOf(place.path).join("/") === folder;
  });
  return { column: found ?? null, columnName: name, field };
}

function folderOf(analysis: Analysis, file: Expression): string | null {
  if (file.kind === "literal" && typeof file.value === "string") {
    return segmentsOf(file.value).slice(0, -1).join("/");
  }
  const path = accessPath(file);
  return path !== null && pathText(path) === "event.data.path" ? watchedFolder(analysis) : null;
}

/** The folder a file source watches, in normal form, when its configuration says so. */
export function watchedFolder(analysis: Analysis): string | null {
  const { trigger } = analysis.program;
  if (trigger.kind !== "source") return null;
  const folder = trigger.config["folder"];
  return typeof folder === "string" ? segmentsOf(folder).join("/") : null;
}

export function watchedPattern(analysis: Analysis): string | null {
  const { trigger } = analysis.program;
  if (trigger.kind !== "source") return null;
  const pattern = trigger.config["pattern"];
  return typeof pattern === "string" ? pattern : null;
}

/** False when the source also looks into folders below. */
export function watchesOneFolder(analysis: Analysis): boolean {
  return analysis.program.trigger.kind === "source" && analysis.program.trigger.config["recursive"] !== true;
}

/** The language of a text that an access path names. */
export function languageOfPath(analysis: Analysis, path: AccessPath, decodes: boolean): Regular {
  const schema = schemaOf(analysis, path);
  const name = pathText(path);
  const kind = schema === null ? undefined : present(schema)["x-language"];
  const folder = watchedFolder(analysis);
  if (kind === "basename") return basenameLanguage(decodes);
  if (kind === "path" && name === "event.data.path" && folder !== null) {
    const below = watchesOneFolder(analysis) ? basenameLanguage(decodes) : plainPathLanguage(decodes);
    return folder === "" ? below : concat(word(`${folder}/`), below);
  }
  if (kind === "path" && name === "event.data.folder" && folder !== null && watchesOneFolder(analysis)) {
    return word(folder);
  }
  if (kind === "path") return plainPathLanguage(decodes);
  return anything;
}

/** The names the trigger lets through, as a second language that must hold as well; null for all. */
export function triggerLanguage(analysis: Analysis, path: AccessPath): Regular | null {
  const pattern = watchedPattern(analysis);
  return pattern !== null && pathText(path) === "event.data.name" ? patternLanguage(pattern) : null;
}

/** How a person says the path: the capability's own noun where it has one, else the path. */
export function nameOfPath(analysis: Analysis, path: AccessPath): string {
  const text = pathText(path);
  if (text === "event.data.name") return "file name";
  if (text === "event.data.path") return "file";
  const column = columnOf(analysis, path);
  const [site] = analysis.writers.get(path.root) ?? [];
  const noun = site?.action?.definition.nouns?.find((one) => one.field === path.fields[0])?.phrases.en[0];
  if (noun !== undefined && path.fields.length === 1) {
    return noun.replace(/\{(\w+)\}/g, (_, parameter: string) => {
      const value = site?.action?.params.get(parameter);
      return value?.kind === "literal" && typeof value.value === "string" ? value.value : parameter;
    });
  }
  if (column !== null) return `${column.field} of ${column.columnName}`;
  return text.replace(/^event\.data\./, "");
}

/** Currency or unit of a number, or null when it has none or none is known. */
export function dimensionOf(analysis: Analysis, path: AccessPath): string | null {
  const column = columnOf(analysis, path);
  if (column !== null && column.field !== "count") return column.column?.dimension ?? null;
  const schema = schemaOf(analysis, path);
  if (schema === null) return null;
  const unit = present(schema)["x-currency"] ?? present(schema)["x-unit"];
  return typeof unit === "string" ? unit : null;
}
