/** The least that pgtls is given: README and packaging show these lists, and tests run the bundle with them. */

/** Environment variables the WebSocket library asks for when it is loaded. */
const WEBSOCKET_VARIABLES = "WS_NO_BUFFER_UTIL,WS_NO_UTF_8_VALIDATE";

/** For `run`, `check` and `inspect`, where nobody is told through NOTIFY_SOCKET. */
export const RUN_PERMISSIONS: readonly string[] = [
  "--allow-net",
  "--allow-read",
  `--allow-env=${WEBSOCKET_VARIABLES}`,
];

const SYSTEMD_READING: readonly string[] = [
  "--unstable-net",
  "--allow-net",
  "--allow-read",
  `--allow-env=${WEBSOCKET_VARIABLES},NOTIFY_SOCKET,WATCHDOG_USEC,WATCHDOG_PID`,
  "--allow-sys=osUptime",
];

/** For `run` under systemd: it has a socket and a clock to be asked for, too. */
export const SYSTEMD_PERMISSIONS: readonly string[] = [
  ...SYSTEMD_READING,
  "--allow-write=/run/systemd/notify",
];

/**
 * For the executable, which cannot be given others later. It may write because `certs` does; a service has
 * `ProtectSystem=strict` or a read-only root against that. Not `--allow-run`: a proxy on a server starts no programs.
 */
export const EXECUTABLE_PERMISSIONS: readonly string[] = [...SYSTEMD_READING, "--allow-write"];
