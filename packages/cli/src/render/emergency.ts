// Emergency stops, for people.
import type { Emergency, EmergencyScope } from "@writ/core/api";
import { time } from "./layout.ts";

export function scopeText(scope: EmergencyScope): string {
  return scope.kind === "everything" ? "everything" : `${scope.kind} ${scope.name}`;
}

/** One stop that is in force, with what ends it (O12). */
export function renderEmergency({ stop, scope, reason, by, atMs }: Emergency): string {
  return `emergency stop on ${scopeText(scope)} by ${by} since ${time(atMs)}${reason === "" ? "" : `: ${reason}`}; an owner clears it: writ emergency clear ${stop}`;
}
