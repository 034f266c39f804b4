/**
 * Tells systemd how a daemon is (sd_notify(3)). Node has no Unix datagram sockets, so systemd-notify(1) sends the
 * messages: the unit needs `NotifyAccess=all`. Without NOTIFY_SOCKET nothing happens.
 */
import { spawn } from 'node:child_process';

export interface Notifier {
  /** Such as `READY=1` or `STOPPING=1`. Resolves when systemd has it: systemd-notify waits for that. */
  notify(...states: string[]): Promise<void>;
  /** No more messages of its own accord. Resolves when systemd has those that were on their way. */
  stop(): Promise<void>;
}

/** @param isAlive asked before each message to the watchdog (WATCHDOG_USEC): a daemon that hangs is restarted */
export function systemdNotifier(env: NodeJS.ProcessEnv, isAlive: () => boolean): Notifier {
  if (!env.NOTIFY_SOCKET) return { async notify() {}, async stop() {} };
  const underWay = new Set<Promise<void>>();
  const notify = (...states: string[]): Promise<void> => {
    const child = spawn('systemd-notify', [`MAINPID=${process.pid}`, ...states], {
      stdio: 'ignore',
      detached: true,
    });
    child.unref();
    const done = new Promise<void>((resolve) => {
      child.once('error', () => resolve()).once('exit', () => resolve());
    }).finally(() => underWay.delete(done));
    underWay.add(done);
    return done;
  };
  const watchdogUs = Number(env.WATCHDOG_USEC);
  const timer =
    watchdogUs > 0
      ? setInterval(() => isAlive() && void notify('WATCHDOG=1'), watchdogUs / 2000).unref()
      : undefined;
  return {
    notify,
    async stop() {
      clearInterval(timer);
      await Promise.all(underWay);
    },
  };
}
