/** The unit in examples/ under a real systemd: ready, watchdog, reload, take-over, restart of one that hangs, stop. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { packageRoot } from '../../../src/lib/packageRoot.ts';
import { type TestDatabase, testDatabase } from '../../support/database.ts';
import { freePort } from '../../support/freePort.ts';
import { hasProgram, skipUnless } from '../../support/skip.ts';
import { temporaryFolder } from '../../support/temporaryFolder.ts';

const SCRIPT = join(import.meta.dirname, '../../support/systemd.sh');
/** What only the manager of a whole system can give. */
const OF_THE_SYSTEM =
  /^(User|Group|(State|Configuration)Directory\w*|Capability\w+|Ambient\w+|Nice|OOM\w+|Private\w+|Protect\w+|Restrict[A-Z]\w+|RemoveIPC|SystemCall\w+|LockPersonality|NoNew\w+|EnvironmentFile)=/;

const { folder, remove } = temporaryFolder();

/** Runs commands of the shell with `$S` as systemctl; undefined where there can be no systemd. */
function inSystemd(commands: string): string | undefined {
  const ran = spawnSync('bash', [SCRIPT, folder], { input: commands, encoding: 'utf8', timeout: 60_000 });
  return ran.status === 77 ? undefined : ran.stdout;
}

const possible =
  process.getuid?.() === 0 && hasProgram('unshare') && hasProgram('systemctl') && inSystemd('') !== undefined;

// A machine may forbid namespaces and control groups, whatever is installed.
describe.skipIf(skipUnless('root, systemd and control groups', possible, { mayAlwaysSkip: true }))(
  'kw-collect.service',
  () => {
    let db: TestDatabase;
    let port: number;
    beforeAll(async () => {
      db = await testDatabase();
      port = await freePort();
      const unit = readFileSync(join(packageRoot(), 'examples', 'kw-collect.service'), 'utf8')
        .split('\n')
        .filter((line) => !OF_THE_SYSTEM.test(line))
        .map((line) => line.replace(/^WatchdogSec=60$/, 'WatchdogSec=2'))
        .map((line) =>
          line.replace(
            /^Environment=.*/,
            `Environment=KW_DATA_DIR=${folder}/data KW_CONFIG=${folder}/kw.yaml`,
          ),
        )
        .map((line) =>
          line.replace('/usr/bin/env kw', `${process.execPath} ${join(packageRoot(), 'bin', 'dev.js')}`),
        );
      mkdirSync(join(folder, '.config/systemd/user'), { recursive: true });
      writeFileSync(join(folder, '.config/systemd/user/kw-collect.service'), unit.join('\n'));
      mkdirSync(join(folder, 'metrics.d'));
      writeFileSync(join(folder, 'kw.yaml'), `listen: 127.0.0.1:${port}\ndatabase_url: ${db.url}\n`);
      writeFileSync(join(folder, 'metrics.d/a.yaml'), entry('one'));
    });
    afterAll(async () => {
      await db.drop();
      remove();
    });
    const entry = (device: string) =>
      `- {name: a_watt, device_id: ${device}, url: 'snmp://public@127.0.0.1:1/1.3.6.1.2.1.1.3.0', update_every: 1000}\n`;

    test('is ready when started, lives with its watchdog, reloads, is taken over, is restarted when it hangs, and stops', () => {
      writeFileSync(join(folder, 'b.yaml'), entry('two'));
      const stdout = inSystemd(`
      show() { echo "$1: $($S show kw-collect -p ActiveState --value) $($S show kw-collect -p Result --value) $($S show kw-collect -p NRestarts --value)"; }
      devices() { echo "$1: $(curl -s http://127.0.0.1:${port}/status | grep -o '"device_id":"[a-z]*"' | sort | tr '\\n' ' ')"; }
      $S start kw-collect; show start
      pid=$($S show kw-collect -p MainPID --value)
      sleep 3; show watched
      devices before
      mv '${folder}/b.yaml' '${folder}/metrics.d/b.yaml'
      $S reload kw-collect; echo "reload: $?"; sleep 1; devices after
      $S kill --kill-whom=main -s USR2 kw-collect
      for _ in $(seq 100); do [ $pid = "$($S show kw-collect -p MainPID --value)" ] || break; sleep 0.1; done
      for _ in $(seq 50); do kill -0 $pid 2>/dev/null || { echo the old process is gone; break; }; sleep 0.1; done
      pid=$($S show kw-collect -p MainPID --value)
      sleep 3; show upgraded
      tr '\\0' ' ' < /proc/$pid/cmdline | grep -o 'collect.*'
      devices upgraded
      kill -STOP $pid
      for _ in $(seq 300); do
        [ $pid != "$($S show kw-collect -p MainPID --value)" ] && $S -q is-active kw-collect && break; sleep 0.1
      done
      show hung
      [ $pid != "$($S show kw-collect -p MainPID --value)" ] && echo another process
      $S stop kw-collect; show stop
    `);
      expect(stdout?.trimEnd().split('\n')).toEqual([
        'start: active success 0',
        'watched: active success 0',
        'before: "device_id":"one" ',
        'reload: 0',
        'after: "device_id":"one" "device_id":"two" ',
        'the old process is gone',
        'upgraded: active success 0',
        'collect --take-over ',
        'upgraded: "device_id":"one" "device_id":"two" ',
        'hung: active success 1',
        'another process',
        'stop: inactive success 0',
      ]);
    });
  },
);
