/**
 * The door for connection apps: the types of the contract, a way to put apps together, and apps to put together.
 * `deno task bundle` makes one file of it, `dist/apps.js`, to lay beside an app.
 */

export { accept } from "./apps/accept.ts";
export { allowNames, verifiedName } from "./apps/allow_names.ts";
export { nameApplication } from "./apps/application_name.ts";
export { audit } from "./apps/audit.ts";
export { compose, type Middleware } from "./compose.ts";
export type { TlsRecord } from "../tls/record.ts";
export type * from "./types.ts";
