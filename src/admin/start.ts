/** From configuration and material to an admin server that listens. */

import type { AdminConfig } from "../config/types.ts";
import type { ListenerMaterial } from "../tls/material.ts";
import { ownHosts } from "./own_host.ts";
import { adminApp, type AdminSources } from "./routes.ts";
import { AdminServer } from "./server.ts";

/** What the admin server is given. */
export interface AdminOptions extends Omit<AdminSources, "isOwnHost"> {
  readonly admin: AdminConfig;
  /** `null` = http and ws. */
  readonly material: ListenerMaterial | null;
}

/**
 * Binds the admin server and serves its app.
 *
 * @throws The system's error (`EADDRINUSE`, `EACCES`, `EADDRNOTAVAIL`), with its `code`.
 */
export async function startAdmin(options: AdminOptions): Promise<AdminServer> {
  const { admin, material, observation, observe } = options;
  const app = adminApp({ ...options, isOwnHost: ownHosts(admin, () => server.material) });
  const server = await AdminServer.bind({
    address: admin.bindAddress,
    material,
    app,
    observe,
    onDropped: () => observation.metrics.countDropped(),
  });
  return server;
}
