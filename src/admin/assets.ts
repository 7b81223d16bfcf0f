/** The page and what it loads: files that are part of the program. */

import { PAGE_ASSETS } from "./page/assets.ts";
import type { Endpoint } from "./router.ts";

/** A file as it is served. */
export interface Asset {
  /** `Content-Type`, with its charset. */
  readonly type: string;
  readonly body: string | Uint8Array;
}

/** Endpoints for the assets, by path. */
export function assetEndpoints(assets: Readonly<Record<string, Asset>>): [path: string, Endpoint][] {
  return Object.entries(assets).map(([path, asset]) => [path, { GET: () => asset }]);
}

/** Every path of the page, `/` among them. */
export const ASSETS: Readonly<Record<string, Asset>> = PAGE_ASSETS;
