/** What views of rows have in common: which row is open, how many are shown. */

import { useState } from "preact/hooks";
import { PAGE_ROWS } from "./table.tsx";

/** The open rows of a table and how many rows it shows. */
export interface RowsView {
  readonly limit: number;
  readonly showMore: () => void;
  readonly isOpen: (id: string) => boolean;
  readonly toggle: (id: string) => void;
}

/** A view in which any number of rows may be open. */
export function useRowsView(): RowsView {
  const [limit, setLimit] = useState(PAGE_ROWS);
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set());
  return {
    limit,
    showMore: () => setLimit(limit + PAGE_ROWS),
    isOpen: (id) => open.has(id),
    toggle: (id) => setOpen(open.symmetricDifference(new Set([id]))),
  };
}
