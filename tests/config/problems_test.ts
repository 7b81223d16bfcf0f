import assert from "node:assert/strict";
import { describeFound } from "../../src/config/found.ts";
import { formatProblem } from "../../src/errors.ts";
import { ADDRESS, BACKEND, BIND, CERT, type Lines, LISTENER, problemsOf, toml } from "./config_support.ts";

/** What the test is about, what is changed, and every problem that must come of it. */
type Case = readonly [name: string, lines: Lines, ...expected: string[]];

const l = "proxy[0].listener";
const b = "proxy[0].backend";
const missing = "Cannot go without this key: it is missing";
const MTLS = `${LISTENER}\nmtls = true\nclient_ca = "ca.pem"`;
const unknown = "Cannot use this key: there is none of that name here";
const LISTEN_ADDRESS = 'an address such as "0.0.0.0:6432", "[::]:6432" or "localhost:6432", ' +
  'or the absolute path of a socket such as "/run/pgtls/.s.PGSQL.6432"';

const CASES: readonly Case[] = [
  [
    "an enum value is not one of its words",
    { top: 'log_level = "loud"' },
    'log_level: Cannot use "loud": expected one of "trace", "debug", "info", "warn", "error"',
  ],
  [
    "a key has the wrong type",
    { top: "log_format = []" },
    'log_format: Cannot use an empty list: expected one of "auto", "text", "json"',
  ],
  [
    "workers is neither auto nor 1 to 64",
    { top: "workers = 65" },
    'workers: Cannot use the number 65: expected "auto" or a whole number from 1 to 64',
  ],
  [
    "a duration is a number without unit",
    { top: "drain_timeout = 30" },
    'drain_timeout: Cannot use the number 30: expected a duration with a unit (ms, s, m or h), such as "10s"',
  ],
  [
    "a duration is text without unit",
    { listener: `${LISTENER}\nstartup_timeout = "10"` },
    `${l}.startup_timeout: Cannot use "10": expected a duration with a unit (ms, s, m or h), such as "10s"`,
  ],
  [
    "a duration that must be positive is 0",
    { listener: `${LISTENER}\nstartup_timeout = "0s"` },
    `${l}.startup_timeout: Cannot use "0s": expected a duration from "1ms" to "1h"`,
  ],
  [
    "a duration is too long",
    { listener: `${LISTENER}\nidle_timeout = "169h"` },
    `${l}.idle_timeout: Cannot use "169h": expected a duration of at most "168h"`,
  ],
  [
    "a connect_timeout is 0",
    { backend: `${BACKEND}\nconnect_timeout = "0ms"` },
    `${b}.connect_timeout: Cannot use "0ms": expected a duration from "1ms" to "1h"`,
  ],
  [
    "a key is unknown and near another",
    { listener: `${LISTENER}\nsevrer_name = "x"` },
    `${l}.sevrer_name: ${unknown}, did you mean "server_names"?`,
  ],
  [
    "a key is misspelt",
    { listener: `${LISTENER}\nclient-ac = "x"` },
    `${l}.client-ac: ${unknown}, did you mean "client_ca"?`,
  ],
  ["a table is misspelt", { more: "[admn]\nx = 1" }, `admn: ${unknown}, did you mean "admin"?`],
  [
    "a key has a name that TOML must quote",
    { top: '"a\\nb" = 1' },
    `"a\ufffdb": ${unknown}, expected one of log_level, log_format, workers, drain_timeout, admin, proxy`,
  ],
  [
    "a key is named as what every object inherits",
    { top: "constructor = 1" },
    `constructor: ${unknown}, expected one of log_level, log_format, workers, drain_timeout, admin, proxy`,
  ],
  [
    "app is no name of a file",
    { route: 'app = ""' },
    "proxy[0].app: Cannot use an empty string: expected the name of a file",
  ],
  [
    "app_timeout is given without app",
    { route: 'app_timeout = "5s"' },
    "proxy[0].app_timeout: Cannot use without an app: expected app, or this key to be absent",
  ],
  [
    "app_timeout is never",
    { route: 'app = "./policy.ts"\napp_timeout = "0s"' },
    'proxy[0].app_timeout: Cannot use "0s": expected a duration from "1ms" to "1h"',
  ],
  [
    "allow is a table",
    { more: '[proxy.allow]\nusers = "alice"' },
    "proxy[0].allow: Cannot use [proxy.allow]: expected [[proxy.allow]], in double brackets",
  ],
  [
    "allow is empty",
    { route: "allow = []" },
    "proxy[0].allow: Cannot use an empty list: expected at least one rule, or this key to be absent",
  ],
  [
    "a rule is empty",
    { more: "[[proxy.allow]]" },
    "proxy[0].allow[0]: Cannot use an empty rule, which would allow everybody: expected one of client_cert_name, " +
    "client_cert_cn, client_cert_san, client_address, users, databases",
  ],
  [
    "a rule is no table",
    { route: 'allow = ["alice"]' },
    'proxy[0].allow[0]: Cannot use "alice": expected a table, [[proxy.allow]]',
  ],
  [
    "a list of a rule is empty",
    { more: "[[proxy.allow]]\nusers = []" },
    "proxy[0].allow[0].users: Cannot use an empty list: expected a text, a /regex/, or a list of them that is not empty",
  ],
  [
    "a key of a rule is misspelt",
    { more: '[[proxy.allow]]\nuser = "alice"' },
    `proxy[0].allow[0].user: ${unknown}, did you mean "users"?`,
  ],
  [
    "a rule holds a number",
    { more: "[[proxy.allow]]\ndatabases = 5" },
    "proxy[0].allow[0].databases: Cannot use the number 5: expected a text, a /regex/, or a list of them that is not empty",
  ],
  [
    "a rule holds a regex that is none",
    { more: '[[proxy.allow]]\nusers = ["a", "/(/"]' },
    'proxy[0].allow[0].users: Cannot use the list ["a", "/(/"]: expected a regex that can be read (Unterminated group)',
  ],
  [
    "a rule holds a regex that could take forever",
    { more: '[[proxy.allow]]\nusers = "/(a+)+b/"' },
    'proxy[0].allow[0].users: Cannot use "/(a+)+b/": expected a regex without repetition or "|" inside a group that is ' +
    "itself repeated, which could take forever",
  ],
  [
    "a rule holds an address that is none",
    { more: '[[proxy.allow]]\nclient_address = "10.0.0.0.0/8"' },
    'proxy[0].allow[0].client_address: Cannot use "10.0.0.0.0/8": expected an IP address or range such as ' +
    '"10.0.0.0/8", without bits set behind the prefix',
  ],
  [
    "a rule holds a range with bits behind its prefix",
    { more: '[[proxy.allow]]\nclient_address = ["10.0.0.1/8"]' },
    'proxy[0].allow[0].client_address: Cannot use the list ["10.0.0.1/8"]: expected an IP address or range such as "10.0.0.0/8", ' +
    "without bits set behind the prefix",
  ],
  [
    "a rule asks for a certificate that nobody is asked for",
    { more: '[[proxy.allow]]\nclient_cert_cn = "alice"' },
    "proxy[0].allow[0].client_cert_cn: Cannot use without client certificates: mtls is false, " +
    'expected mtls = true or "optional"',
  ],
  [
    "a rule asks for a certificate on a plaintext listener",
    { listener: `${BIND}\ntls_enabled = false`, more: '[[proxy.allow]]\nclient_cert_san = "a"' },
    "proxy[0].allow[0].client_cert_san: Cannot use on a plaintext listener: nobody has a certificate there, " +
    "expected tls_enabled = true",
  ],
  [
    "a rule uses \\1 that nothing captures",
    { listener: MTLS, more: "[[proxy.allow]]\nclient_cert_cn = '/.*/'\nusers = '\\1'" },
    "proxy[0].allow[0].users: Cannot use \\1: expected a regex with a group in client_cert_name, client_cert_cn, " +
    "client_cert_san",
  ],
  [
    "a rule uses \\1 that two keys capture",
    {
      listener: MTLS,
      more: "[[proxy.allow]]\nclient_cert_cn = '/(.*)/'\nclient_cert_san = '/(.*)/'\nusers = '\\1'",
    },
    "proxy[0].allow[0].users: Cannot use \\1: client_cert_cn and client_cert_san have groups, expected one key that has",
  ],
  [
    "a rule uses \\1 that not every entry captures",
    { listener: MTLS, more: "[[proxy.allow]]\nclient_cert_cn = ['/(.*)/', 'root']\nusers = '\\1'" },
    "proxy[0].allow[0].client_cert_cn: Cannot use without a group what \\1 of users stands for: " +
    "expected a regex with a group",
  ],
  [
    "auth.mode is not one of its words",
    { more: '[proxy.auth]\nmode = "md5"' },
    'proxy[0].auth.mode: Cannot use "md5": expected one of "passthrough", "scram", "password"',
  ],
  [
    "scram has no users",
    { more: '[proxy.auth]\nmode = "scram"' },
    `proxy[0].auth.auth_file: ${missing} with mode = "scram", expected the name of a file of users and verifiers`,
  ],
  [
    "auth_file is given without scram",
    { more: '[proxy.auth]\nauth_file = "users.txt"' },
    'proxy[0].auth.auth_file: Cannot use with mode = "passthrough": expected mode = "scram", or this key to be absent',
  ],
  [
    "auth_file is given with password",
    { more: '[proxy.auth]\nmode = "password"\nauth_file = "users.txt"' },
    'proxy[0].auth.auth_file: Cannot use with mode = "password": expected mode = "scram", or this key to be absent',
  ],
  [
    "passwords would cross the network in clear",
    { listener: `${BIND}\ntls_enabled = false`, more: '[proxy.auth]\nmode = "password"' },
    "proxy[0].auth.mode: Cannot ask for passwords with listener.tls_enabled = false: " +
    'they would cross the network in clear, expected mode = "scram", or TLS for every client',
  ],
  [
    "passwords could cross the network in clear",
    { listener: `${LISTENER}\nunsafe_allow_plaintext = true`, more: '[proxy.auth]\nmode = "password"' },
    "proxy[0].auth.mode: Cannot ask for passwords with listener.unsafe_allow_plaintext = true: " +
    'they would cross the network in clear, expected mode = "scram", or TLS for every client',
  ],
  [
    "auth is no table",
    { route: 'auth = "scram"' },
    'proxy[0].auth: Cannot use "scram": expected a table, [proxy.auth]',
  ],
  [
    "a key of auth is misspelt",
    { more: '[proxy.auth]\nauthfile = "users.txt"' },
    `proxy[0].auth.authfile: ${unknown}, did you mean "auth_file"?`,
  ],
  [
    "bind_address is missing",
    { listener: CERT },
    `${l}.bind_address: ${missing}, expected ${LISTEN_ADDRESS}`,
  ],
  [
    "bind_address has no port",
    { listener: `bind_address = "0.0.0.0"\n${CERT}` },
    `${l}.bind_address: Cannot use "0.0.0.0": expected ${LISTEN_ADDRESS}`,
  ],
  [
    "bind_address is a relative socket path",
    { listener: `bind_address = "run/x"\n${CERT}` },
    `${l}.bind_address: Cannot use "run/x": expected ${LISTEN_ADDRESS}`,
  ],
  [
    "a unix socket has load balancers",
    { listener: `bind_address = "/run/x"\n${CERT}\nproxy_protocol_from = ["::1"]` },
    `${l}.proxy_protocol_from: Cannot combine with a unix socket: its clients have no address, expected a TCP bind_address`,
  ],
  [
    "the backend is the unix socket of the listener",
    { listener: `bind_address = "/run/x"\n${CERT}`, backend: 'address = "/run/x"\ntls_enabled = false' },
    `${b}.address: Cannot use "/run/x" as backend: it is the address this route listens on`,
  ],
  [
    "two routes listen on one unix socket",
    {
      listener: `bind_address = "/run/x"\n${CERT}`,
      more:
        `[[proxy]]\nname = "b"\n[proxy.listener]\nbind_address = "/run/x"\n${CERT}\n[proxy.backend]\n${BACKEND}`,
    },
    'proxy[1].listener.bind_address (route "b"): Cannot listen on "/run/x" again: route "proxy[0]" does, ' +
    "expected another address or port, or server_names to tell them apart",
  ],
  [
    "the admin server is to listen on a unix socket",
    { admin: 'bind_address = "/run/x"' },
    'admin.bind_address: Cannot use "/run/x": expected an address such as "127.0.0.1:9432", "[::1]:9432" or "localhost:9432"',
  ],
  [
    "server_cert and server_key are missing",
    { listener: BIND },
    `${l}.server_cert: ${missing}, expected the name of a PEM file, or tls_enabled = false`,
    `${l}.server_key: ${missing}, expected the name of a PEM file, or tls_enabled = false`,
  ],
  [
    "server_key alone is missing",
    { listener: `${BIND}\nserver_cert = "a"` },
    `${l}.server_key: ${missing}, expected the name of a PEM file, or tls_enabled = false`,
  ],
  [
    "a file name is empty",
    { listener: `${BIND}\nserver_cert = ""\nserver_key = "b"` },
    `${l}.server_cert: Cannot use an empty string: expected the name of a file`,
  ],
  [
    "a plaintext listener has keys about TLS",
    {
      listener: `${LISTENER}\ntls_enabled = false\nmtls = true\nclient_ca = "a"\nclient_crl = "b"\n` +
        'server_names = []\nmin_tls_version = "1.3"\nunsafe_allow_plaintext = true',
    },
    ...[
      "server_cert",
      "server_key",
      "mtls",
      "client_ca",
      "client_crl",
      "server_names",
      "min_tls_version",
      "unsafe_allow_plaintext",
    ].map(
      (key) => `${l}.${key}: Cannot combine with tls_enabled = false: expected this key to be absent`,
    ),
  ],
  [
    "mtls is another word",
    { listener: `${LISTENER}\nmtls = "required"` },
    `${l}.mtls: Cannot use "required": expected one of false, true, "optional"`,
  ],
  [
    "mtls = true has no client_ca",
    { listener: `${LISTENER}\nmtls = true` },
    `${l}.client_ca: ${missing} while mtls = true, expected the name of a PEM file`,
  ],
  [
    "mtls = optional has no client_ca",
    { listener: `${LISTENER}\nmtls = "optional"` },
    `${l}.client_ca: ${missing} while mtls = "optional", expected the name of a PEM file`,
  ],
  [
    "client_ca and client_crl have no mtls",
    { listener: `${LISTENER}\nclient_ca = "a"\nclient_crl = "b"` },
    ...["client_ca", "client_crl"].map((key) =>
      `${l}.${key}: Cannot use without client certificates: mtls is false, expected mtls = true or "optional", or this key to be absent`
    ),
  ],
  [
    "min_tls_version is none of ours",
    { listener: `${LISTENER}\nmin_tls_version = "1.1"` },
    `${l}.min_tls_version: Cannot use "1.1": expected one of "1.2", "1.3"`,
  ],
  [
    "unsafe_allow_plaintext meets mtls = true",
    { listener: `${LISTENER}\nmtls = true\nclient_ca = "a"\nunsafe_allow_plaintext = true` },
    `${l}.unsafe_allow_plaintext: Cannot combine with mtls = true: a plaintext client shows no certificate, ` +
    "expected mtls = false or unsafe_allow_plaintext = false",
  ],
  [
    "server_names is a text",
    { listener: `${LISTENER}\nserver_names = "a.example.com"` },
    `${l}.server_names: Cannot use "a.example.com": expected a list of DNS names such as "db1.example.com" or "*.example.com"`,
  ],
  ...["10.0.0.1", "::1", "*", "a.*.com", "*.1.2.3.4", "a.com.", "a:5432", ""].map((name): Case => [
    `server_names has ${JSON.stringify(name)}`,
    { listener: `${LISTENER}\nserver_names = ["a.b", "${name}"]` },
    `${l}.server_names: Cannot use the list ["a.b", ${
      describeFound(name)
    }]: expected a list of DNS names such as "db1.example.com" or "*.example.com"`,
  ]),
  [
    "server_names names one server twice",
    {
      listener: `${LISTENER}\nserver_names = ["a.b"]`,
      more:
        `[[proxy]]\n[proxy.listener]\n${LISTENER}\nserver_names = ["c.d", "C.D"]\n[proxy.backend]\n${BACKEND}`,
    },
    'proxy[1].listener.server_names (route "proxy[1]"): Cannot use the server name "c.d" again: route "proxy[1]" has it on the same address',
  ],
  ...["10.0.0.1/8", "10.0.0.0/33", "lb.internal", ""].map((range): Case => [
    `proxy_protocol_from has ${JSON.stringify(range)}`,
    { listener: `${LISTENER}\nproxy_protocol_from = ["${range}"]` },
    `${l}.proxy_protocol_from: Cannot use the list [${
      describeFound(range)
    }]: expected a list of IP ranges such as "10.0.0.0/8" or "2001:db8::/32", ` +
    "without bits set behind the prefix",
  ]),
  [
    "unsafe_allow_plaintext meets server_names",
    { listener: `${LISTENER}\nserver_names = ["a.b"]\nunsafe_allow_plaintext = true` },
    `${l}.unsafe_allow_plaintext: Cannot combine with server_names: a plaintext client names no server, expected one of the two keys`,
  ],
  [
    "max_connections is negative",
    { listener: `${LISTENER}\nmax_connections = -1` },
    `${l}.max_connections: Cannot use the number -1: expected a whole number from 0 to 1000000`,
  ],
  [
    "max_connections is a fraction",
    { listener: `${LISTENER}\nmax_connections = 1.5` },
    `${l}.max_connections: Cannot use the number 1.5: expected a whole number from 0 to 1000000`,
  ],
  [
    "a switch is a word",
    { listener: `${LISTENER}\nplaintext_cancel = "yes"` },
    `${l}.plaintext_cancel: Cannot use "yes": expected true or false`,
  ],

  [
    "address is missing",
    { backend: 'root_ca = "ca.pem"' },
    `${b}.address: ${missing}, expected an address such as "db.internal:5432" or "[::1]:5432", ` +
    'or the absolute path of a socket such as "/run/postgresql/.s.PGSQL.5432"',
  ],
  [
    "address is a URL with a password",
    { backend: 'address = "postgres://me:secret@db:5432/x"\nroot_ca = "ca.pem"' },
    `${b}.address: Cannot use a string of 30 characters: expected an address such as "db.internal:5432" or "[::1]:5432", ` +
    'or the absolute path of a socket such as "/run/postgresql/.s.PGSQL.5432"',
  ],
  [
    "root_ca is missing",
    { backend: ADDRESS },
    `${b}.root_ca: ${missing}, expected the name of a PEM file, "system", or tls_enabled = false`,
  ],
  [
    "a plaintext backend has keys about TLS",
    {
      backend: `${BACKEND}\ntls_enabled = false\nclient_cert = "a"\nclient_key = "b"\ntls_verify = "full"\n` +
        'server_name = "x"\nnegotiation = "direct"',
    },
    ...["root_ca", "client_cert", "client_key", "tls_verify", "server_name", "negotiation"].map(
      (key) => `${b}.${key}: Cannot combine with tls_enabled = false: expected this key to be absent`,
    ),
  ],
  [
    "tls_verify is none",
    { backend: `${BACKEND}\ntls_verify = "none"` },
    `${b}.tls_verify: Cannot use "none": expected one of "full", "ca"`,
  ],
  [
    "tls_verify = ca meets the public roots",
    { backend: `${ADDRESS}\nroot_ca = "system"\ntls_verify = "ca"` },
    `${b}.tls_verify: Cannot combine "ca" with root_ca = "system": anybody can get a public certificate, expected "full"`,
  ],
  [
    "client_key is missing",
    { backend: `${BACKEND}\nclient_cert = "a"` },
    `${b}.client_key: ${missing}, and client_cert is there, expected both or neither`,
  ],
  [
    "client_cert is missing",
    { backend: `${BACKEND}\nclient_key = "a"` },
    `${b}.client_cert: ${missing}, and client_key is there, expected both or neither`,
  ],
  [
    "a unix socket has no server_name",
    { backend: 'address = "/run/s"\nroot_ca = "ca.pem"' },
    `${b}.server_name: ${missing}, and a unix socket has no name to verify, expected the name in the backend's certificate`,
  ],
  [
    "server_name has a port",
    { backend: `${BACKEND}\nserver_name = "db:5432"` },
    `${b}.server_name: Cannot use "db:5432": expected a DNS name or an IP address, without port`,
  ],
  [
    "negotiation is another word",
    { backend: `${BACKEND}\nnegotiation = "auto"` },
    `${b}.negotiation: Cannot use "auto": expected one of "postgres", "direct"`,
  ],

  [
    "name is empty",
    { route: 'name = ""' },
    "proxy[0].name: Cannot use an empty string: expected a name of 1 to 64 printable characters",
  ],
  [
    "name is too long",
    { route: `name = "${"x".repeat(65)}"` },
    "proxy[0].name: Cannot use a string of 65 characters: expected a name of 1 to 64 printable characters",
  ],
  [
    "name is not printable",
    { route: 'name = "a\\tb"' },
    "proxy[0].name: Cannot use a string of 3 characters: expected a name of 1 to 64 printable characters",
  ],
  [
    "a route listens on its own backend",
    { backend: 'address = "127.0.0.1:6432"\nroot_ca = "ca.pem"' },
    `${b}.address: Cannot use "127.0.0.1:6432" as backend: it is the address this route listens on`,
  ],
  [
    "a key is a table where it should not be",
    { more: "[proxy.backend.address2]\nx = 1" },
    `${b}.address2: ${unknown}, did you mean "address"?`,
  ],

  [
    "admin is open to the network in plaintext",
    { admin: 'bind_address = "0.0.0.0:9432"' },
    "admin.bind_address: Cannot open the admin server to the network without client certificates: " +
    "expected a loopback address, or server_cert, server_key, client_ca and mtls = true",
  ],
  [
    "admin is open to the network with optional client certificates",
    { admin: `bind_address = "10.0.0.1:9432"\n${CERT}\nmtls = "optional"\nclient_ca = "a"` },
    "admin.bind_address: Cannot open the admin server to the network without client certificates: " +
    "expected a loopback address, or server_cert, server_key, client_ca and mtls = true",
  ],
  [
    "admin has a certificate without key",
    { admin: 'bind_address = "localhost:9432"\nserver_cert = "a"' },
    `admin.server_key: ${missing}, and server_cert is there, expected both or neither`,
  ],
  ["admin asks for client certificates without TLS", {
    admin: 'bind_address = "127.9.9.9:9432"\nmtls = true\nclient_ca = "a"',
  }, "admin.mtls: Cannot ask for client certificates without TLS: server_cert and server_key are missing"],
  [
    "admin has mtls without client_ca",
    { admin: `bind_address = "[::1]:9432"\n${CERT}\nmtls = true` },
    `admin.client_ca: ${missing} while mtls = true, expected the name of a PEM file`,
  ],
  [
    "admin has client_ca without mtls",
    { admin: 'bind_address = "[::1]:9432"\nclient_ca = "a"' },
    'admin.client_ca: Cannot use without client certificates: mtls is false, expected mtls = true or "optional", ' +
    "or this key to be absent",
  ],
  [
    "admin takes the address of a route",
    { admin: 'bind_address = "127.0.0.1:6432"' },
    'admin.bind_address: Cannot listen on "127.0.0.1:6432" again: route "proxy[0]" does, expected another address or port',
  ],
  [
    "admin has a key of a listener",
    { admin: 'bind_address = "127.0.0.1:1"\nclient_crl = "a"' },
    `admin.client_crl: ${unknown}, did you mean "client_ca"?`,
  ],
];

for (const [name, lines, ...expected] of CASES) {
  Deno.test(`parseConfig reports just this when ${name}`, () => {
    const route = ' (route "proxy[0]")';
    const actual = problemsOf(toml(lines)).map((problem) => formatProblem(problem).trim().replace(route, ""));
    assert.deepEqual(actual, expected);
  });
}

Deno.test("parseConfig reports a missing route when the file has none", () => {
  const message = "Cannot start without a route: expected at least one [[proxy]]";
  for (const text of ["", "proxy = []"]) assert.deepEqual(problemsOf(text), [{ path: "proxy", message }]);
});

Deno.test("parseConfig reports single brackets and what else is wrong when [proxy] is one table", () => {
  assert.deepEqual(
    problemsOf("[proxy]\n[proxy.listener]\nbind_address = 1\n[proxy.backend]\n").map(({ path }) => path),
    [
      "proxy",
      "proxy[0].listener.bind_address",
      "proxy[0].listener.server_cert",
      "proxy[0].listener.server_key",
      "proxy[0].backend.address",
      "proxy[0].backend.root_ca",
    ],
  );
});

Deno.test("parseConfig reports missing and misused tables when a route has no listener or backend", () => {
  assert.deepEqual(problemsOf("[[proxy]]\nbackend = 1\n").map(formatProblem), [
    '  proxy[0].listener (route "proxy[0]"): Cannot go without this table: it is missing, expected [proxy.listener]',
    '  proxy[0].backend (route "proxy[0]"): Cannot use the number 1: expected a table, [proxy.backend]',
  ]);
});

Deno.test("parseConfig skips rules about keys that are wrong themselves", () => {
  const problems = problemsOf(
    toml({ listener: `${LISTENER}\ntls_enabled = "off"`, backend: `${BACKEND}\ntls_enabled = 0` }),
  );
  assert.deepEqual(problems.map(({ path }) => path), [`${l}.tls_enabled`, `${b}.tls_enabled`]);
});

Deno.test("parseConfig refuses a second route when its name or address is taken", () => {
  const second = (name: string, address: string) =>
    `[[proxy]]\n${name}\n[proxy.listener]\nbind_address = "${address}"\n${CERT}\n[proxy.backend]\n${BACKEND}`;
  const route = 'name = "a"';
  assert.deepEqual(problemsOf(toml({ route, more: second('name = "a"', "[::1]:6433") })).map(formatProblem), [
    '  proxy[1].name (route "a"): Cannot use the name "a" again: proxy[0] has it, expected a unique name',
  ]);
  for (const address of ["127.0.0.1:6432", "localhost:6432", "[::]:6432", "db.example.com:6432"]) {
    assert.deepEqual(problemsOf(toml({ route, more: second('name = "b"', address) })).map(formatProblem), [
      `  proxy[1].listener.bind_address (route "b"): Cannot listen on "${address}" again: route "a" does, expected another address or port`,
    ]);
  }
  assert.deepEqual(problemsOf(toml({ more: second("", "0.0.0.0:6433") })), []);
});

Deno.test("parseConfig lets routes share an address when their server names differ, and they agree on the rest", () => {
  const first = { route: 'name = "a"', listener: `${LISTENER}\nserver_names = ["a.example.com"]` };
  const second = (lines: string) =>
    `[[proxy]]\nname = "b"\n[proxy.listener]\n${lines}\n[proxy.backend]\n${BACKEND}`;
  const problems = (lines: string) => problemsOf(toml({ ...first, more: second(lines) })).map(formatProblem);
  const at = (key: string) => `  proxy[1].listener.${key} (route "b"): `;
  for (const names of [[], ["b.example.com"], ["*.example.com"], ["*.a.example.com"]]) {
    assert.deepEqual(problems(`${LISTENER}\nserver_names = ${JSON.stringify(names)}`), []);
  }
  assert.deepEqual(problems(LISTENER), [], "a default");
  assert.deepEqual(problems(`${LISTENER}\nserver_names = ["x.y", "A.example.com"]`), [
    `${
      at("server_names")
    }Cannot use the server name "a.example.com" again: route "a" has it on the same address`,
  ]);
  assert.deepEqual(problems(`${LISTENER}\nproxy_protocol_from = ["::1"]`), [
    `${at("proxy_protocol_from")}Cannot differ from route "a" on the same address: ` +
    "this counts before a server name is known, expected the same value",
  ]);
  assert.deepEqual(problems(`${LISTENER}\nstartup_timeout = "11s"`), [
    `${at("startup_timeout")}Cannot differ from route "a" on the same address: ` +
    "this counts before a server name is known, expected the same value",
  ]);
  assert.deepEqual(problems(`${BIND}\ntls_enabled = false`), [
    `${
      at("bind_address")
    }Cannot listen on "0.0.0.0:6432" again: route "a" does, and route "b" has no TLS and so no ` +
    "server name, expected another address or port",
  ]);
  assert.deepEqual(problems(`bind_address = "127.0.0.1:6432"\n${CERT}\nserver_names = ["b.example.com"]`), [
    `${
      at("bind_address")
    }Cannot listen on "127.0.0.1:6432" again: route "a" does, expected another address or port`,
  ]);
  const defaults = problemsOf(toml({ route: 'name = "a"', more: second(LISTENER) })).map(formatProblem);
  assert.deepEqual(defaults, [
    `${
      at("bind_address")
    }Cannot listen on "0.0.0.0:6432" again: route "a" does, expected another address or port, ` +
    "or server_names to tell them apart",
  ]);
});

Deno.test("parseConfig refuses a name that is another route's default name", () => {
  const more =
    `[[proxy]]\nname = "proxy[0]"\n[proxy.listener]\nbind_address = "[::1]:1"\n${CERT}\n[proxy.backend]\n${BACKEND}`;
  assert.deepEqual(problemsOf(toml({ more })).map(({ path }) => path), ["proxy[1].name"]);
});

Deno.test("parseConfig allows port 0 any number of times", () => {
  const listener = `bind_address = "127.0.0.1:0"\n${CERT}`;
  const more = `[[proxy]]\n[proxy.listener]\n${listener}\n[proxy.backend]\n${BACKEND}`;
  assert.deepEqual(problemsOf(toml({ listener, more })), []);
});

Deno.test("parseConfig shows no value that may be secret", () => {
  const secret = "hunter2=AbC/dEf+";
  const pem = `-----BEGIN PRIVATE KEY-----\\n${secret}\\n-----END PRIVATE KEY-----`;
  const text = toml({
    top: `log_level = "${secret}"\npassword = "${secret}"`,
    route: `name = "\\t${secret}"`,
    listener: `${BIND}\nserver_cert = "s.pem"\nserver_key = "${pem}"\nmtls = "${secret}"`,
    backend: `address = "user:${secret}@db:5432"\nroot_ca = "ca.pem"\nserver_name = "${secret}"`,
  });
  const problems = problemsOf(text);
  assert.equal(problems.length, 7);
  for (const problem of problems) {
    assert.ok(!formatProblem(problem).includes("hunter2"), formatProblem(problem));
  }
});
