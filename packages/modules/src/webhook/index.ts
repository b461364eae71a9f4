export { createInbox, type DeliveryInbox } from "./inbox.ts";
export { webhookSource } from "./received.ts";
