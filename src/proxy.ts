/**
 * The composition root: the only place where configuration, what serves it, observers, the admin server and the reload
 * meet.
 */

import type { BackendProbes } from "./backend_probes.ts";
import { filesOfAdmin, filesOfRoute } from "./config/files.ts";
import type { Config } from "./config/types.ts";
import { ConfigError, type Problem } from "./errors.ts";
import { load, type Loaded, Loader } from "./load.ts";
import type { Observer, PgtlsEvent } from "./observe/events.ts";
import { loadedCertificates } from "./observe/loaded_certificates.ts";
import { startLog } from "./observe/log.ts";
import type { Observation } from "./observe/observation.ts";
import type { ReloadState } from "./observe/reload_state.ts";
import { warningEvent } from "./observe/warnings.ts";
import { Pace } from "./pace.ts";
import { Reloader } from "./reload/reloader.ts";
import { type AdminContext, AdminPart } from "./server/admin_part.ts";
import { type OpenServing, servingOf, type ServingOptions } from "./server/open_serving.ts";
import type { Applied, BoundAddress, Serving } from "./server/serving.ts";
import { VERSION } from "./version.ts";

/** Options of {@linkcode RunningProxy.start}. */
export interface StartOptions {
  /** Replaces the log of the configuration, for the demo and for tests. */
  readonly observe?: Observer;
  /** How workers are started. */
  readonly workers?: Pick<ServingOptions, "module" | "isolates" | "pingIntervalMs">;
}

/** A proxy that is listening. */
export class RunningProxy {
  readonly #serving: Serving;
  readonly #admin: AdminPart;
  readonly #reloader: Reloader;
  readonly #ownsLog: boolean;
  /** As at the start: a reload does not change it. */
  readonly #workers: Config["workers"];
  readonly #log: Observer;
  readonly #broken = Promise.withResolvers<void>();
  /** `null` while there is nobody to show it to. */
  #observation: Observation | null = null;
  #probes: BackendProbes | null = null;

  /**
   * Loads and checks everything the file names, then binds every listener.
   *
   * @throws {ConfigError} With every problem found; nothing has been started then.
   */
  static async start(file: string, options: StartOptions = {}): Promise<RunningProxy> {
    const loader = new Loader();
    const loaded = await load(file, loader);
    const open = await servingOf(loaded.config);
    const proxy = new RunningProxy({ loader, loaded, open, ...options });
    const { observe } = proxy;
    if (loaded.admin !== null) await proxy.#observed();
    observe({ event: "config.loaded", file: loaded.config.file, routes: loaded.routes.length });
    for (const event of tlsLoaded(loaded)) observe(event);
    for (const problem of loaded.warnings) observe(warningEvent(problem));
    try {
      const { problems, events } = await proxy.#apply(loaded);
      for (const { path, route = null, message: detail } of problems) {
        if (path.endsWith("bind_address")) observe({ event: "listener.failed", route, detail });
      }
      if (problems.length > 0) throw new ConfigError(loaded.config.file, problems);
      for (const event of events) observe(event);
    } catch (error) {
      await Promise.all([proxy.#serving.drain(0), proxy.#admin.close()]);
      throw error;
    }
    observe({ event: "server.started", version: VERSION, workers: proxy.#serving.workers });
    return proxy;
  }

  private constructor({ loader, loaded, open, observe, workers }: StartOptions & Parts) {
    const { config } = loaded;
    this.#workers = config.workers;
    this.#ownsLog = observe === undefined;
    this.#log = observe ?? startLogOf(config);
    const onHung = (detail: string) => {
      const error =
        `Cannot end a worker that hangs, nor take its port from it, expected a restart: ${detail}`;
      this.observe({ event: "server.failed", error, stack: "" });
      this.#broken.resolve();
    };
    this.#serving = open({ ...workers, observe: this.observe, onHung });
    this.#reloader = new Reloader({
      loader,
      loaded,
      apply: (next) => this.#reapply(next),
      observe: this.observe,
    });
    this.#admin = new AdminPart(() => this.#adminContext());
  }

  /** Takes every event of the process. */
  readonly observe: Observer = (event) => {
    this.#log(event);
    this.#observation?.observe(event);
  };

  /** Resolves when the process has to be ended and started anew, because part of it hangs. */
  get broken(): Promise<void> {
    return this.#broken.promise;
  }

  /** What is in use. */
  get config(): Config {
    return Object.freeze({ ...this.#reloader.loaded.config, workers: this.#workers });
  }

  get addresses(): readonly BoundAddress[] {
    return this.#serving.addresses;
  }

  /** Where the admin server listens; `null` without one. */
  get adminAddress(): { readonly host: string; readonly port: number } | null {
    return this.#admin.address;
  }

  /** How many connections are open now, in whatever stage. */
  get connections(): number {
    return this.#serving.connections;
  }

  /** The files whose change is to be followed by {@linkcode refresh}. */
  get watchedFiles(): readonly string[] {
    return this.#reloader.paths;
  }

  /** Takes the configuration file and every file it names into use, as far as they can be used. */
  reload(): Promise<ReloadState> {
    return this.#shown(this.#reloader.reload());
  }

  /** The same, for the files alone. */
  refresh(): Promise<ReloadState> {
    return this.#shown(this.#reloader.refresh());
  }

  /** Logs which certificates run out within 14 days. */
  async remind(): Promise<void> {
    await this.#reloader.remind();
  }

  /**
   * Ends: what is being reloaded first, then every connection as gently as `timeoutMs` allows, the admin server last, so
   * that it can say what goes on.
   *
   * @param timeoutMs By default the configuration's `drain_timeout`.
   * @returns How many connections the timeout cut.
   */
  async drain(timeoutMs = this.config.drainTimeoutMs): Promise<number> {
    await this.#reloader.stop();
    const { connections } = this.#serving;
    this.observe({ event: "server.draining", connections, drain_timeout_ms: timeoutMs });
    const cut = await this.#serving.drain(timeoutMs);
    this.observe({ event: "server.stopped", connections_cut: cut });
    await this.#admin.close();
    return cut;
  }

  async #apply(loaded: Loaded): Promise<Applied> {
    const refused = await this.#admin.apply(loaded.admin);
    const { problems, events } = await this.#serving.apply(loaded.routes);
    return { problems: [...refused, ...problems], events };
  }

  async #reapply(next: Loaded): Promise<readonly Problem[]> {
    const { logLevel, logFormat, workers } = this.config;
    if (next.config.workers !== workers) {
      this.observe({ event: "config.warning", problem: { path: "workers", message: NO_OTHER_WORKERS } });
    }
    const isOtherLog = next.config.logLevel !== logLevel || next.config.logFormat !== logFormat;
    // The observer stays the same: it feeds whatever log there is.
    if (isOtherLog && this.#ownsLog) startLogOf(next.config);
    const { problems, events } = await this.#apply(next);
    for (const event of events) this.observe(event);
    return problems;
  }

  async #shown(reloaded: Promise<ReloadState>): Promise<ReloadState> {
    const state = await reloaded;
    await this.#observation?.certificates.load(loadedCertificates(this.#reloader.loaded), new Pace());
    return state;
  }

  async #adminContext(): Promise<AdminContext> {
    const { BackendProbes } = await import("./backend_probes.ts");
    const probes = this.#probes ??= new BackendProbes(() => this.#reloader.loaded.routes);
    return {
      observation: await this.#observed(),
      observe: this.observe,
      config: () => this.config,
      reloadState: () => this.#reloader.state,
      reload: () => this.reload(),
      probeBackends: () => probes.failures(),
    };
  }

  /** What the admin server shows; there is none before there is one. */
  async #observed(): Promise<Observation> {
    if (this.#observation !== null) return this.#observation;
    const { Observation } = await import("./observe/observation.ts");
    this.#observation = new Observation({
      liveBytes: () => this.#serving.liveBytes(),
      routes: () =>
        this.config.routes.map(({ name, listener }) => ({ name, limit: listener.maxConnections })),
      reloadState: () => this.#reloader.state,
      workers: () => this.#serving.workers,
    });
    await this.#observation.certificates.load(loadedCertificates(this.#reloader.loaded));
    return this.#observation;
  }
}

/** What has been read and checked for TLS, part by part. */
function tlsLoaded({ admin, routes }: Loaded): PgtlsEvent[] {
  const ofAdmin = admin === null ? [] : [{ route: null, named: filesOfAdmin(admin.config) }];
  const ofRoutes = routes.map(({ config }) => ({ route: config.name, named: filesOfRoute(config) }));
  return [...ofAdmin, ...ofRoutes].flatMap(({ route, named }) => {
    const files = named.filter(({ key }) => TLS_KEY.test(key)).map(({ path }) => path);
    return files.length === 0 ? [] : [{ event: "tls.loaded", route, files } as const];
  });
}

/** What a proxy is put together of. */
interface Parts {
  readonly loader: Loader;
  readonly loaded: Loaded;
  readonly open: OpenServing;
}

function startLogOf({ logLevel, logFormat }: Config): Observer {
  return startLog({ level: logLevel, format: logFormat });
}

/** Keys whose files are about TLS: neither an app nor a password file. */
const TLS_KEY = /_(cert|key|ca|crl)$/;

const NO_OTHER_WORKERS = "Cannot start or end workers by a reload: expected a restart";
