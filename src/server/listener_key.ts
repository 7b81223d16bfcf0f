/** Which routes share a listener. */

import type { RouteConfig } from "../config/types.ts";
import { describeAddress } from "../connection/socket.ts";

/** Routes with one key share a listener. A port the system chooses is a route's own. */
export function keyOf({ name, listener: { bindAddress } }: RouteConfig): string {
  const isAnyPort = bindAddress.kind === "tcp" && bindAddress.port === 0;
  return isAnyPort ? `${bindAddress.host} ${name}` : describeAddress(bindAddress);
}
