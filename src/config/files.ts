/** Which files the parts of a configuration name. What loads them, and what watches them, goes by this list. */

import type { AdminConfig, RouteConfig } from "./types.ts";

/** A file and the key that names it. */
export interface NamedFile {
  /** Below the table of the route or of the admin server: `listener.server_cert`. */
  readonly key: string;
  /** Absolute. */
  readonly path: string;
}

/** The files a route names. `root_ca = "system"` is not among them: that is for the operating system to say. */
export function filesOfRoute({ app, auth, listener, backend }: RouteConfig): NamedFile[] {
  return named({
    app,
    "auth.auth_file": auth.authFile,
    "listener.server_cert": listener.serverCert,
    "listener.server_key": listener.serverKey,
    "listener.client_ca": listener.clientCa,
    "listener.client_crl": listener.clientCrl,
    "backend.root_ca": backend.rootCa === "system" ? null : backend.rootCa,
    "backend.client_cert": backend.clientCert,
    "backend.client_key": backend.clientKey,
  });
}

/** The files the admin server names. */
export function filesOfAdmin(admin: AdminConfig): NamedFile[] {
  return named({
    server_cert: admin.serverCert,
    server_key: admin.serverKey,
    client_ca: admin.clientCa,
  });
}

function named(files: Readonly<Record<string, string | null>>): NamedFile[] {
  return Object.entries(files).flatMap(([key, path]) => path === null ? [] : [{ key, path }]);
}
