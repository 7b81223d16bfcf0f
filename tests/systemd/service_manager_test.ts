import assert from "node:assert/strict";
import { NotifySocket } from "../../src/systemd/notify_socket.ts";
import { ServiceManager } from "../../src/systemd/service_manager.ts";
import { eventually } from "../support/closing_lines.ts";
import { startNotifyReceiver } from "../support/notify_receiver.ts";

for (const isAbstract of [false, true]) {
  Deno.test(`ServiceManager tells ${isAbstract ? "an abstract name" : "a path"} of start, reload and stop, in order`, async () => {
    await using receiver = await startNotifyReceiver({ isAbstract });
    await using manager = managerFor({ NOTIFY_SOCKET: receiver.address });
    manager.ready("Serving 2 routes");
    manager.reloading();
    manager.ready("Serving 3 routes");
    manager.stopping("Draining 4 connections", 120_000);
    assert.deepEqual(await receiver.next(), { READY: "1", STATUS: "Serving 2 routes" });
    const { MONOTONIC_USEC, ...reloading } = await receiver.next();
    assert.deepEqual(reloading, { RELOADING: "1", STATUS: "Reloading" });
    assert.match(MONOTONIC_USEC ?? "", /^\d+$/);
    assert.deepEqual(await receiver.next(), { READY: "1", STATUS: "Serving 3 routes" });
    assert.deepEqual(await receiver.next(), {
      STOPPING: "1",
      STATUS: "Draining 4 connections",
      EXTEND_TIMEOUT_USEC: "130000000",
    });
  });
}

Deno.test("the time in RELOADING is not before the time the machine has been up", async () => {
  await using receiver = await startNotifyReceiver();
  await using manager = managerFor({ NOTIFY_SOCKET: receiver.address });
  // CLOCK_BOOTTIME, which is never behind CLOCK_MONOTONIC.
  const uptime = Number((await Deno.readTextFile("/proc/uptime")).split(" ")[0]);
  manager.reloading();
  const { MONOTONIC_USEC } = await receiver.next();
  assert.ok(Number(MONOTONIC_USEC) >= uptime * 1e6, `${MONOTONIC_USEC} is before ${uptime * 1e6}`);
});

Deno.test("ServiceManager sends signs of life at half of WATCHDOG_USEC once it is ready", async () => {
  await using receiver = await startNotifyReceiver();
  await using manager = managerFor({
    NOTIFY_SOCKET: receiver.address,
    WATCHDOG_USEC: "200000",
    WATCHDOG_PID: String(Deno.pid),
  });
  manager.ready("Serving 1 route");
  assert.deepEqual(await receiver.next(), { READY: "1", STATUS: "Serving 1 route" });
  for (let i = 0; i < 3; i++) assert.deepEqual(await receiver.next(), { WATCHDOG: "1" });
});

for (
  const [name, isAlive] of [
    ["not alive", () => false],
    ["not even able to tell", () => Promise.reject(new Error("no answer"))],
  ] as const
) {
  Deno.test(`ServiceManager sends no sign of life while the process is ${name}`, async () => {
    await using receiver = await startNotifyReceiver();
    let asked = 0;
    const checked = Promise.withResolvers<void>();
    const env = { NOTIFY_SOCKET: receiver.address, WATCHDOG_USEC: "10000" };
    await using manager = managerFor(env, () => {
      if (++asked === 5) checked.resolve();
      return isAlive();
    });
    manager.ready("");
    await eventually(checked.promise, "five checks");
    manager.stopping("", 0);
    assert.ok("READY" in await receiver.next());
    assert.ok("STOPPING" in await receiver.next());
  });
}

const NO_WATCHDOG: readonly [string, Record<string, string>, RegExp | null][] = [
  ["without WATCHDOG_USEC", {}, null],
  ["for another process", { WATCHDOG_USEC: "1000", WATCHDOG_PID: "1" }, null],
  ["with a WATCHDOG_USEC of 0", { WATCHDOG_USEC: "0" }, /"0": expected a number of microseconds above 0/],
  ["with a WATCHDOG_USEC that is no number", { WATCHDOG_USEC: "1s" }, /"1s": expected a number/],
];

for (const [name, env, problem] of NO_WATCHDOG) {
  Deno.test(`ServiceManager keeps no watchdog ${name}`, async () => {
    await using receiver = await startNotifyReceiver();
    const problems: string[] = [];
    await using manager = managerFor({ NOTIFY_SOCKET: receiver.address, ...env }, () => true, problems);
    manager.ready("");
    manager.stopping("", 0);
    assert.ok("READY" in await receiver.next());
    assert.ok("STOPPING" in await receiver.next());
    if (problem === null) assert.deepEqual(problems, []);
    else assert.match(problems.join("\n"), problem);
  });
}

Deno.test("ServiceManager does nothing, and opens nothing, without NOTIFY_SOCKET", async () => {
  for (const env of [{}, { NOTIFY_SOCKET: "" }]) {
    const problems: string[] = [];
    await using manager = managerFor({ ...env, WATCHDOG_USEC: "1" }, () => true, problems);
    manager.ready("");
    manager.reloading();
    manager.stopping("", 0);
    assert.deepEqual(problems, []);
  }
});

for (const address of ["notify", "vsock:2:1234", "@", "/"]) {
  Deno.test(`NotifySocket says that ${JSON.stringify(address)} is no address, and pgtls goes on`, () => {
    const problems: string[] = [];
    assert.equal(NotifySocket.open(address, (problem) => problems.push(problem)), null);
    assert.deepEqual(problems, [
      `Cannot notify the service manager at "${address}": expected NOTIFY_SOCKET to be an absolute path, or @ and a name`,
    ]);
  });
}

Deno.test("NotifySocket says once that nobody is there", async () => {
  const problems: string[] = [];
  const socket = NotifySocket.open("/nonexistent/notify", (problem) => problems.push(problem))!;
  await socket.send({ READY: 1 });
  await socket.send({ WATCHDOG: 1 });
  socket.close();
  assert.equal(problems.length, 1);
  assert.match(problems[0]!, /^Cannot notify the service manager at "\/nonexistent\/notify": No such file/);
});

Deno.test("NotifySocket sends text with newlines as one field", async () => {
  await using receiver = await startNotifyReceiver();
  const socket = NotifySocket.open(receiver.address, () => {})!;
  await socket.send({ STATUS: "a\nMAINPID=1\u0000b" });
  assert.deepEqual(await receiver.next(), { STATUS: "a MAINPID=1 b" });
  socket.close();
});

function managerFor(
  env: Readonly<Record<string, string>>,
  isAlive: () => boolean | Promise<boolean> = () => true,
  problems: string[] = [],
): ServiceManager {
  return new ServiceManager({
    env: (name) => env[name],
    isAlive,
    report: (problem) => problems.push(problem),
  });
}
