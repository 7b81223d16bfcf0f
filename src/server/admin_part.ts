/**
 * The admin server as a part of the configuration: it comes, changes, moves and goes with a reload. Its modules are
 * loaded when there is one: that takes as long as all the rest.
 */

import type { AdminServer } from "../admin/server.ts";
import type { AdminOptions } from "../admin/start.ts";
import { formatAddress } from "../connection/socket.ts";
import type { Problem } from "../errors.ts";
import type { LoadedAdmin } from "../load_parts.ts";
import { describeBindError } from "./bind_problem.ts";

/** What the admin server shows and where it tells, whatever its configuration. */
export type AdminContext = Omit<AdminOptions, "admin" | "material">;

/** The admin server, where there is one. */
export class AdminPart {
  readonly #context: () => Promise<AdminContext>;
  #served: LoadedAdmin | null = null;
  #server: AdminServer | null = null;

  /** @param context Asked for when there is an admin server to start. */
  constructor(context: () => Promise<AdminContext>) {
    this.#context = context;
  }

  /** Where it listens; `null` without one. */
  get address(): { readonly host: string; readonly port: number } | null {
    return this.#server?.address ?? null;
  }

  /**
   * Serves `wanted` from now on. New certificates are taken where it listens; another address, or TLS where there was
   * none, makes another server, for which the old one has to go first.
   *
   * @returns Why that address cannot be bound: the old one is back then.
   */
  async apply(wanted: LoadedAdmin | null): Promise<readonly Problem[]> {
    const served = this.#served;
    if (wanted === served) return [];
    if (wanted && served && this.#server && isSamePlace(wanted, served)) {
      if (wanted.material) this.#server.publish(wanted.material);
      this.#served = wanted;
      return [];
    }
    await this.close();
    try {
      await this.#open(wanted);
      return [];
    } catch (error) {
      await this.#open(served);
      const message = describeBindError(wanted!.config.bindAddress, error);
      return [{ path: "admin.bind_address", message }];
    }
  }

  /** Ends it with all its connections. */
  async close(): Promise<void> {
    await this.#server?.close();
    this.#server = null;
    this.#served = null;
  }

  async #open(admin: LoadedAdmin | null): Promise<void> {
    if (admin === null) return;
    const { config, material } = admin;
    const context = await this.#context();
    const { startAdmin } = await import("../admin/start.ts");
    this.#server = await startAdmin({ ...context, admin: config, material });
    this.#served = admin;
    const { host, port } = this.#server.address;
    const scheme = material ? "https" : "http";
    context.observe({ event: "admin.bound", address: formatAddress(host, port), scheme });
  }
}

function isSamePlace(one: LoadedAdmin, other: LoadedAdmin): boolean {
  const place = ({ config, material }: LoadedAdmin) => [config.bindAddress, material === null];
  return JSON.stringify(place(one)) === JSON.stringify(place(other));
}
