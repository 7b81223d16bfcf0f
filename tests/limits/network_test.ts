import assert from "node:assert/strict";
import { networkOf } from "../../src/limits/network.ts";

Deno.test("networkOf() gives an IPv4 address, or the /64 of an IPv6 address however it is written", () => {
  const cases = [
    ["192.0.2.1:5432", "192.0.2.1"],
    ["[::ffff:192.0.2.1]:5432", "192.0.2.1"],
    ["[2001:db8:0:1:aaaa:bbbb:cccc:dddd]:1", "2001:db8:0:1::"],
    ["[2001:DB8:0:1::1]:1", "2001:db8:0:1::"],
    ["[2001:db8:0:1::2]:2", "2001:db8:0:1::"],
    ["[2001:0db8::1]:1", "2001:db8::"],
    ["[fe80::1%eth0]:1", "fe80::"],
    ["[64:ff9b::192.0.2.1]:1", "192.0.2.1"],
    ["[64:ff9b::c000:201]:1", "192.0.2.1"],
    ["[64:ff9b:0:0:1::c000:201]:1", "64:ff9b::"],
    ["[::1]:1", "::"],
    ["unix", "unix"],
    ["unknown", "unknown"],
  ];
  for (const [client, network] of cases) assert.equal(networkOf(client!), network);
});
