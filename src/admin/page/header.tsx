/** The header: which pgtls this is, how it is, the search box, and the button that holds everything still. */

import { formatCount } from "./format.ts";
import type { Link, PageState } from "./state.ts";

/** What the header shows and tells. */
export interface HeaderProps {
  readonly state: PageState;
  readonly now: number;
  readonly typed: string;
  readonly onTyped: (typed: string) => void;
  /** Events that came since the page was paused; `null` while it is not. */
  readonly paused: number | null;
  readonly onPause: () => void;
}

/** The header. */
export function Header({ state, typed, onTyped, paused, onPause }: HeaderProps) {
  const { readiness, link } = state;
  return (
    <header class="top">
      <div class="name">
        <h1>pgtls</h1>
        <span class="host">{location.host}</span>
      </div>
      <p class="health">
        {readiness === null
          ? <span class="chip plain">Readiness unknown</span>
          : readiness.ready
          ? <span class="chip good">Ready</span>
          : <span class="chip bad">Not ready</span>}
        <span class={`chip ${LINKS[link.kind].tone}`}>{LINKS[link.kind].text}</span>
      </p>
      <div class="tools">
        <label class="search">
          <span class="unseen">Search everything on this page</span>
          <input
            type="search"
            placeholder="Search: user, database, address, certificate, reason …"
            autocomplete="off"
            spellcheck={false}
            value={typed}
            onInput={({ currentTarget }) => onTyped(currentTarget.value)}
          />
        </label>
        <button type="button" aria-pressed={paused !== null} onClick={onPause}>
          {paused === null ? "Pause" : "Paused"}
        </button>
        {paused !== null && <span class="pending">{formatCount(paused, "new event")}</span>}
      </div>
    </header>
  );
}

const LINKS: Readonly<Record<Link["kind"], { text: string; tone: string }>> = {
  connecting: { text: "Connecting", tone: "plain" },
  live: { text: "Live", tone: "good" },
  asleep: { text: "Asleep", tone: "plain" },
  lost: { text: "Not live", tone: "bad" },
};
