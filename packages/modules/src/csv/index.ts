export { aggregate } from "./aggregate.ts";
export { appendRow } from "./append-row.ts";
export { readTable } from "./read-table.ts";
