/** The certificates of a configuration, each with what it is there for. */

import type { AdminConfig, RouteConfig } from "../config/types.ts";
import type { BackendMaterial, ListenerMaterial, RouteMaterial } from "../tls/material.ts";
import type { TrustStore } from "../tls/trust_store.ts";

/** What a certificate was loaded for. */
export type LoadedUse = "listener" | "client_ca" | "root_ca" | "client_cert" | "admin";

/** One certificate of one file. */
export interface LoadedCertificate {
  readonly der: Uint8Array;
  /** `null` = the admin server's. */
  readonly route: string | null;
  readonly use: LoadedUse;
  readonly file: string;
}

/** What is in use. */
export interface LoadedParts {
  readonly routes: readonly { readonly config: RouteConfig; readonly material: RouteMaterial }[];
  readonly admin: { readonly config: AdminConfig; readonly material: ListenerMaterial | null } | null;
}

/**
 * Every certificate that was loaded, in the order of the configuration; chains leaf first.
 *
 * The public roots of `root_ca = "system"` are not among them: the operator did not choose them one by one.
 */
export function loadedCertificates({ routes, admin }: LoadedParts): LoadedCertificate[] {
  return [
    ...admin ? ofListener(admin.material, { route: null, use: "admin", files: admin.config }) : [],
    ...routes.flatMap(({ config: { name, listener, backend }, material }) => [
      ...ofListener(material.listener, { route: name, use: "listener", files: listener }),
      ...ofBackend(material.backend, { route: name, files: backend }),
    ]),
  ];
}

function ofListener(
  material: ListenerMaterial | null,
  { route, use, files }: {
    readonly route: string | null;
    readonly use: "listener" | "admin";
    readonly files: { readonly serverCert: string | null; readonly clientCa: string | null };
  },
): LoadedCertificate[] {
  return [
    ...entries(material?.chainDer ?? [], { route, use, file: files.serverCert }),
    ...entries(anchors(material?.clientPolicy.trust), { route, use: "client_ca", file: files.clientCa }),
  ];
}

function ofBackend(
  material: BackendMaterial | null,
  { route, files }: {
    readonly route: string;
    readonly files: { readonly clientCert: string | null; readonly rootCa: string | null };
  },
): LoadedCertificate[] {
  const isSystem = files.rootCa === "system";
  return [
    ...entries(material?.chainDer ?? [], { route, use: "client_cert", file: files.clientCert }),
    ...entries(isSystem ? [] : anchors(material?.policy.trust), {
      route,
      use: "root_ca",
      file: files.rootCa,
    }),
  ];
}

function anchors(trust: TrustStore | null | undefined): readonly Uint8Array[] {
  return trust?.anchors.certificates.map(({ der }) => der) ?? [];
}

function entries(
  ders: readonly Uint8Array[],
  { file, ...use }: Omit<LoadedCertificate, "der" | "file"> & { readonly file: string | null },
): LoadedCertificate[] {
  return ders.map((der) => ({ der, ...use, file: file ?? "" }));
}
