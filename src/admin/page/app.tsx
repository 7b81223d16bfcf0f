/// <reference lib="dom" />
/** The whole page: header, four tiles that lead to four views, and the view that is open. */

import { useEffect, useReducer, useRef, useState } from "preact/hooks";
import { Banners } from "./banners.tsx";
import { Certificates } from "./certificates.tsx";
import { Connected } from "./connected.tsx";
import { Ended } from "./ended.tsx";
import { Feed } from "./feed.tsx";
import { Footer } from "./footer.tsx";
import { Header } from "./header.tsx";
import { type Search, searchFor } from "./search.ts";
import type { PageState } from "./state.ts";
import type { Store } from "./store.ts";
import { announce, type Spoken, spokenOf } from "./summary.ts";
import { Tiles, type View, VIEWS } from "./tiles.tsx";

/** What a view is given. */
export interface ViewProps {
  readonly state: PageState;
  /** Milliseconds since 1970. */
  readonly now: number;
  readonly search: Search;
  /** Types something into the search box for the user. */
  readonly onSearch: (typed: string) => void;
}

/** The page. */
export function App({ store, reconnect }: { store: Store; reconnect: () => void }) {
  const live = useStoreAndClock(store);
  const [typed, setTyped] = useState("");
  const [frozen, setFrozen] = useState<{ state: PageState; now: number } | null>(null);
  const { state, now } = frozen ?? { state: live, now: Date.now() };
  const view = useView();
  const search = searchFor(typed);
  const props = { state, now, search, onSearch: setTyped };
  useEffect(() => {
    document.title = titleOf(live);
  }, [titleOf(live)]);
  return (
    <>
      <a class="skip" href="#main" onClick={skipToMain}>Skip to the tables</a>
      <Header
        state={live}
        now={now}
        typed={typed}
        onTyped={setTyped}
        paused={frozen === null ? null : live.events - frozen.state.events}
        onPause={() => setFrozen(frozen === null ? { state: live, now: Date.now() } : null)}
      />
      <Tiles {...props} view={view} />
      <main id="main" tabIndex={-1}>
        <Banners state={live} now={Date.now()} reconnect={reconnect} />
        {view === "connected" && <Connected {...props} />}
        {view === "ended" && <Ended {...props} />}
        {view === "certificates" && <Certificates {...props} />}
        {view === "events" && <Feed {...props} />}
      </main>
      <Footer state={live} now={Date.now()} />
      <Announcer state={live} />
    </>
  );
}

/** The state now; draws again when it changes, and every second, because durations grow. */
function useStoreAndClock(store: Store): PageState {
  const [, drawAgain] = useReducer((count: number) => count + 1, 0);
  useEffect(() => {
    const tick = setInterval(() => {
      if (!document.hidden) drawAgain(undefined);
    }, 1000);
    const unsubscribe = store.subscribe(() => drawAgain(undefined));
    return () => {
      clearInterval(tick);
      unsubscribe();
    };
  }, [store]);
  return store.state;
}

/** The view that the address names, so that views have links and the Back button works. */
function useView(): View {
  const [view, setView] = useState<View>(viewIn(location.hash) ?? "connected");
  useEffect(() => {
    const follow = () => setView((before) => viewIn(location.hash) ?? before);
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);
  return view;
}

function viewIn(hash: string): View | null {
  return VIEWS.find((view) => `#${view}` === hash) ?? null;
}

function skipToMain(event: Event): void {
  // Not by the address: that names the view.
  event.preventDefault();
  document.getElementById("main")?.focus();
}

function titleOf({ open, openBeyond, readiness, link }: PageState): string {
  const connected = `${open.size + openBeyond} connected`;
  if (link.kind === "lost") return "Connection lost · pgtls";
  return readiness?.ready === false ? `Not ready · ${connected} · pgtls` : `${connected} · pgtls`;
}

/** Tells screen readers what matters, politely and not more often than every ten seconds. */
function Announcer({ state }: { state: PageState }) {
  const [said, say] = useState("");
  const last = useRef<{ spoken: Spoken; at: number } | null>(null);
  useEffect(() => {
    const now = Date.now();
    // What the first answers bring is not news.
    if (state.connectionsAt === null) return;
    if (last.current === null) {
      last.current = { spoken: spokenOf(state), at: 0 };
      return;
    }
    if (now - last.current.at < SPEAK_EVERY_MS) return;
    const spoken = spokenOf(state);
    const sentences = announce(last.current.spoken, spoken);
    if (sentences === null) return;
    last.current = { spoken, at: now };
    say(sentences);
  });
  return <div class="unseen" role="status">{said}</div>;
}

const SPEAK_EVERY_MS = 10_000;
