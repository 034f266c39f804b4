/**
 * Tells systemd how a daemon is (sd_notify(3)). Node has no Unix datagram sockets, so systemd-notify(1) sends the
 * messages: the unit needs `NotifyAccess=all`. Without NOTIFY_SOCKET nothing happens.
 */
import { spawn } from 'node:child_process';

export interface Notifier {
  /** Such as `READY=1` or `STOPPING=1`. */
  notify(...states: string[]): void;
  stop(): void;
}

/** @param isAlive asked before each message to the watchdog (WATCHDOG_USEC): a daemon that hangs is restarted */
export function systemdNotifier(env: NodeJS.ProcessEnv, isAlive: () => boolean): Notifier {
  if (!env.NOTIFY_SOCKET) return { notify() {}, stop() {} };
  const notify = (...states: string[]): void => {
    const child = spawn('systemd-notify', [`MAINPID=${process.pid}`, ...states], {
      stdio: 'ignore',
      detached: true,
    });
    child.on('error', () => {});
    child.unref();
  };
  const watchdogUs = Number(env.WATCHDOG_USEC);
  const timer =
    watchdogUs > 0
      ? setInterval(() => isAlive() && notify('WATCHDOG=1'), watchdogUs / 2000).unref()
      : undefined;
  return { notify, stop: () => clearInterval(timer) };
}
