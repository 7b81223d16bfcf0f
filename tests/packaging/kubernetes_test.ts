/** packaging/kubernetes: the manifests agree with each other, and the real parser takes the configuration in them. */
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { parse, parseAllDocuments } from "yaml";
import { readConfigFile } from "../../src/config/load.ts";
import type { Config } from "../../src/config/types.ts";
import { VERSION } from "../../src/version.ts";
import { makeCa } from "../support/pki.ts";
import { pgtls } from "../support/pgtls.ts";

const FOLDER = new URL("../../packaging/kubernetes/", import.meta.url);

// deno-lint-ignore no-explicit-any -- manifests are data of another system; each test looks at the part it is about
type Manifest = any;

const manifests = await loadManifests();
const deployment = only("Deployment");
const pod = deployment.spec.template.spec;
const [container] = pod.containers;

Deno.test("every manifest is one that kustomization.yaml lists, with a kind and a name", async () => {
  const files = [...Deno.readDirSync(FOLDER)].map(({ name }) => name).filter((name) =>
    name !== "kustomization.yaml"
  );
  const { resources } = parse(await Deno.readTextFile(new URL("kustomization.yaml", FOLDER)));
  assert.deepEqual(resources.toSorted(), files.toSorted());
  for (const { apiVersion, kind, metadata } of manifests) {
    assert.ok(apiVersion && kind && metadata.name, JSON.stringify(metadata));
    assert.equal(metadata.labels["app.kubernetes.io/name"], "pgtls");
  }
});

Deno.test("the configuration in the ConfigMap passes, with certificates where cert-manager puts them", async () => {
  await using files = await mountedVolumes();
  const { code, stdout, stderr } = await pgtls("check", "-c", files.config);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /is valid: 1 route\n {2}orders: 0\.0\.0\.0:6432 \(TLS, mtls = true\)/);
});

Deno.test("every file the configuration names is a key of a volume that is mounted there, whole", async () => {
  await using files = await mountedVolumes();
  const { config } = readConfigFile(files.config);
  for (const path of filesOf(config!)) {
    const mounted = path.slice(files.root.length);
    const mount = container.volumeMounts.find((one: Manifest) => one.mountPath === dirname(mounted));
    assert.ok(mount, `${mounted} is in no volumeMount`);
    // A subPath is never updated when the Secret is.
    assert.equal(mount.subPath, undefined);
    assert.equal(mount.readOnly, true);
  }
  for (const { name } of container.volumeMounts) {
    assert.ok(pod.volumes.some((volume: Manifest) => volume.name === name), `no volume ${name}`);
  }
});

Deno.test("every Secret that is mounted comes from a Certificate, with the usage it is for", () => {
  const usages = Object.fromEntries(
    all("Certificate").map(({ spec }) => [spec.secretName, spec.usages]),
  );
  const secrets = pod.volumes.flatMap(({ secret }: Manifest) => secret ? [secret] : []);
  assert.deepEqual(
    secrets.map((secret: Manifest) => secret.secretName).toSorted(),
    Object.keys(usages).toSorted(),
  );
  assert.ok(
    usages["pgtls-server"].includes("server auth") && !usages["pgtls-server"].includes("client auth"),
  );
  assert.ok(usages["pgtls-backend-client"].includes("client auth"));
  // Octal in YAML 1.1, which Kubernetes reads: for the group, and nobody else.
  for (const { defaultMode } of secrets) assert.equal(defaultMode, 0o440);
});

Deno.test("Kubernetes waits longer than preStop and drain_timeout take together", async () => {
  await using files = await mountedVolumes();
  const drainSeconds = readConfigFile(files.config).config!.drainTimeoutMs / 1_000;
  const { seconds } = container.lifecycle.preStop.sleep;
  assert.ok(pod.terminationGracePeriodSeconds >= seconds + drainSeconds + 10);
});

Deno.test("ports, probes and Services are about the addresses that are bound", async () => {
  await using files = await mountedVolumes();
  const { routes, admin } = readConfigFile(files.config).config!;
  const ports = Object.fromEntries(container.ports.map((port: Manifest) => [port.name, port.containerPort]));
  const { bindAddress } = routes[0]!.listener;
  assert.ok(bindAddress.kind === "tcp");
  assert.equal(ports.postgresql, bindAddress.port);
  assert.equal(ports.admin, admin!.bindAddress.port);
  for (const probe of [container.startupProbe, container.readinessProbe]) {
    assert.deepEqual(probe.tcpSocket, { port: "postgresql" });
  }
  const [program, ...args] = container.livenessProbe.exec.command;
  assert.equal(program, "/usr/local/bin/pgtls");
  assert.deepEqual(args, ["health", "--tls", `localhost:${admin!.bindAddress.port}`]);
  for (const { spec } of all("Service")) {
    for (const { targetPort } of spec.ports) assert.ok(targetPort in ports, targetPort);
    assert.deepEqual(spec.selector, deployment.spec.selector.matchLabels);
  }
  assert.deepEqual(only("PodDisruptionBudget").spec.selector, deployment.spec.selector);
  assert.deepEqual(deployment.spec.template.metadata.labels, deployment.spec.selector.matchLabels);
});

Deno.test("the container runs this version, and has no privileges", () => {
  assert.equal(container.image, `pgtls:${VERSION}`);
  assert.deepEqual(container.securityContext, {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ["ALL"] },
  });
  const { runAsNonRoot, runAsUser, seccompProfile } = pod.securityContext;
  assert.equal(runAsNonRoot, true);
  assert.notEqual(runAsUser, 0);
  assert.deepEqual(seccompProfile, { type: "RuntimeDefault" });
  assert.equal(pod.automountServiceAccountToken, false);
});

async function loadManifests(): Promise<Manifest[]> {
  const found: Manifest[] = [];
  for (const { name } of Deno.readDirSync(FOLDER)) {
    if (name === "kustomization.yaml") continue;
    // YAML 1.1, as Kubernetes reads it: there 0440 is octal.
    const documents = parseAllDocuments(await Deno.readTextFile(new URL(name, FOLDER)), { version: "1.1" });
    for (const document of documents) {
      assert.deepEqual(document.errors, [], name);
      found.push(document.toJS());
    }
  }
  return found;
}

function all(kind: string): Manifest[] {
  return manifests.filter((manifest) => manifest.kind === kind);
}

function only(kind: string): Manifest {
  const [manifest, ...others] = all(kind);
  assert.equal(others.length, 0);
  return manifest;
}

/** What the container sees: the ConfigMap's file, and for each Secret and ConfigMap what is written into it. */
async function mountedVolumes() {
  const root = await Deno.makeTempDir({ prefix: "pgtls-kubernetes-" });
  const ca = makeCa({ name: "CA" });
  const server = ca.issue({ name: "pgtls", purpose: "server", sans: ["pgtls"] });
  const client = ca.issue({ name: "pgtls", purpose: "client" });
  const config = join(root, "etc/pgtls/config/pgtls.toml");
  const text = only("ConfigMap").data["pgtls.toml"] as string;
  for (const { name, mountPath } of container.volumeMounts) {
    const folder = join(root, mountPath);
    await Deno.mkdir(folder, { recursive: true });
    const leaf = name === "backend-client" ? client : server;
    const isSecret = pod.volumes.find((volume: Manifest) => volume.name === name).secret !== undefined;
    if (name === "config") await Deno.writeTextFile(config, text.replaceAll('"/etc/', `"${root}/etc/`));
    else await Deno.writeTextFile(join(folder, "ca.crt"), ca.certPem);
    if (isSecret) await Deno.writeTextFile(join(folder, "tls.crt"), leaf.chainPem);
    if (isSecret) await Deno.writeTextFile(join(folder, "tls.key"), leaf.keyPem, { mode: 0o440 });
  }
  return { root, config, [Symbol.asyncDispose]: () => Deno.remove(root, { recursive: true }) };
}

/** Every file a configuration names. */
function filesOf({ routes, admin }: Config): string[] {
  return [...routes.flatMap(({ listener, backend }) => [listener, backend]), admin].flatMap((table) =>
    Object.values(table ?? {}).filter((value): value is string =>
      typeof value === "string" && value.startsWith("/")
    )
  );
}
