export { cron, interval, once } from "./sources.ts";
export { tick } from "./tick.ts";
