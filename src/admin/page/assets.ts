/** The page's files, as the admin server gives them out. Text imports, so that bundle and executable carry them. */

import html from "./index.html" with { type: "text" };
import css from "./page.css" with { type: "text" };
import svg from "./page.svg" with { type: "text" };
import program from "./built/page.js" with { type: "text" };

/** By path. None of them holds data: whatever the page shows it asks for. */
export const PAGE_ASSETS: Readonly<Record<string, { readonly type: string; readonly body: string }>> = {
  "/": { type: "text/html; charset=utf-8", body: html },
  "/page.css": { type: "text/css; charset=utf-8", body: css },
  "/page.js": { type: "text/javascript; charset=utf-8", body: program },
  "/page.svg": { type: "image/svg+xml", body: svg },
};
