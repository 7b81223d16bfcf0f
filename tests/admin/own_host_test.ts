import assert from "node:assert/strict";
import { ownHosts } from "../../src/admin/own_host.ts";
import type { AdminConfig } from "../../src/config/types.ts";
import type { ListenerMaterial } from "../../src/tls/material.ts";
import { makeCa } from "../support/pki.ts";

const CONFIG: AdminConfig = {
  bindAddress: { kind: "tcp", host: "127.0.0.5", port: 9432 },
  serverCert: null,
  serverKey: null,
  mtls: false,
  clientCa: null,
};

Deno.test("ownHosts knows localhost, loopback addresses and the address it is bound to, and nothing else", () => {
  const isOwn = ownHosts(CONFIG, () => null)!;
  for (const host of ["localhost", "127.0.0.1", "127.0.0.5", "::1"]) assert.ok(isOwn(host), host);
  for (
    const host of ["attacker.example", "10.0.0.1", "0.0.0.0", "127.0.0.1.attacker.example", "", "2130706433"]
  ) {
    assert.ok(!isOwn(host), host);
  }
});

Deno.test("ownHosts knows the DNS names of its certificate", () => {
  const sans = ["admin.example", "*.pods.example"];
  const leaf = makeCa({ name: "CA" }).issue({ name: "admin", purpose: "server", sans });
  const leafDer = Uint8Array.fromBase64(leaf.certPem.replace(/-----[A-Z ]+-----|\s/g, ""));
  const isOwn = ownHosts(CONFIG, () => ({ leafDer }) as ListenerMaterial)!;
  for (const host of ["admin.example", "a.pods.example", "localhost"]) assert.ok(isOwn(host), host);
  for (const host of ["attacker.example", "pods.example", "a.b.pods.example"]) assert.ok(!isOwn(host), host);
});

Deno.test("ownHosts does not look where client certificates are required", () => {
  assert.equal(ownHosts({ ...CONFIG, mtls: true }, () => null), null);
  assert.notEqual(ownHosts({ ...CONFIG, mtls: "optional" }, () => null), null);
});
