/** Headless Chromium, with everything a page complains of at hand. */
import { Buffer } from "node:buffer";
import { type Browser, chromium, type Page } from "playwright-core";

export type { Page };

/** A browser. Dispose of it with `await using`. */
export interface TestBrowser extends AsyncDisposable {
  /** Opens an address in a context of its own: no cookies, no cache of another test. */
  open(address: string, options?: PageOptions): Promise<WatchedPage>;
  /** Closes every page that is open: it would go on drawing and asking. */
  closePages(): Promise<void>;
}

/** How a page is looked at. */
export interface PageOptions {
  /** @default 1280 */
  readonly width?: number;
  /** @default "light" */
  readonly colorScheme?: "light" | "dark";
  /** A certificate to present; also makes any server certificate acceptable. PEM. */
  readonly leaf?: { readonly chainPem: string; readonly keyPem: string };
}

/**
 * A page, and what it complained of so far: console errors, exceptions, refusals of the Content-Security-Policy.
 * Dispose of it with `await using`, or leave that to the browser.
 */
export interface WatchedPage extends AsyncDisposable {
  readonly page: Page;
  readonly complaints: readonly string[];
}

/**
 * Starts Debian's Chromium.
 *
 * @throws {Error} If there is no Chromium; says what to install.
 */
export async function startBrowser(): Promise<TestBrowser> {
  const browser = await chromium.launch({ executablePath: findChromium(), args: FLAGS, timeout: WAIT_MS });
  return {
    open: (address, options) => openPage(browser, address, options),
    async closePages() {
      for (const context of browser.contexts()) await context.close();
    },
    async [Symbol.asyncDispose]() {
      await browser.close();
    },
  };
}

async function openPage(browser: Browser, address: string, options: PageOptions = {}): Promise<WatchedPage> {
  const context = await browser.newContext({
    viewport: { width: options.width ?? 1280, height: 900 },
    colorScheme: options.colorScheme ?? "light",
    reducedMotion: "reduce",
    ...(options.leaf && withCertificate(address, options.leaf)),
  });
  context.setDefaultTimeout(WAIT_MS);
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  // A violation is reported on the console, too; the event also tells of those that are only reported.
  await page.addInitScript(() => {
    addEventListener("securitypolicyviolation", (event) => {
      const { violatedDirective, blockedURI } = event as unknown as Record<string, string>;
      console.error(`CSP violation: ${violatedDirective} ${blockedURI}`);
    });
  });
  await page.goto(address);
  return { page, complaints, [Symbol.asyncDispose]: () => context.close() };
}

function withCertificate(address: string, { chainPem, keyPem }: NonNullable<PageOptions["leaf"]>) {
  const [cert, key] = [chainPem, keyPem].map((pem) => Buffer.from(pem));
  return {
    ignoreHTTPSErrors: true,
    clientCertificates: [{ origin: new URL(address).origin, cert: cert!, key: key! }],
  };
}

function findChromium(): string {
  const found = CHROMIUM.find((path) => {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  });
  if (found !== undefined) return found;
  throw new Error(
    `Cannot run Chromium: none of ${CHROMIUM.join(", ")}; expected the Debian package "chromium"`,
  );
}

const CHROMIUM = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
// Without a sandbox, because tests also run as root in containers; it only ever opens pages of this machine.
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--disable-dev-shm-usage",
];
const WAIT_MS = 60_000;
