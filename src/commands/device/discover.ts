import { Args, Flags } from '@oclif/core';
import { KwCommand } from '../../cli/command.ts';
import { settingsFlags } from '../../lib/config/flags.ts';
import { EXIT_USAGE, KwError } from '../../lib/errors.ts';

export default class DeviceDiscover extends KwCommand {
  static override summary = 'ask a device what it offers, and print a metric file for it';

  static override description =
    'Walks the device (SNMP tables, the sensors of a BMC) and prints entries for metrics.d on standard output: power ' +
    'and temperature first, with units, labels, periods and the values of now as comments. The URL needs no last ' +
    'part. Secrets of the URL are not written: they become references, which the head of the file tells to set. ' +
    'Exits with 1 when nothing was found.';

  static override examples = [
    '<%= config.bin %> <%= command.id %> snmp://public@pdu-1 --output /etc/kwollect/metrics.d/pdu-1.yaml',
    "<%= config.bin %> <%= command.id %> 'snmp://${env:SNMP_COMMUNITY}@switch-1' --profile if-mib --period 5s",
    "<%= config.bin %> <%= command.id %> 'snmp://kw@pdu-2?version=3&auth=sha256&auth_key=${env:SNMP_AUTH_KEY}' --alias-names",
    "<%= config.bin %> <%= command.id %> 'ipmisensor://root:${env:BMC_PASSWORD}@node-1-bmc' --alias node-1",
    "<%= config.bin %> <%= command.id %> 'redfish://root:${env:BMC_PASSWORD}@node-1-bmc' --alias node-1",
    '<%= config.bin %> <%= command.id %> snmp://node-1-bmc --credential bmc --alias node-1 --json',
  ];

  static override args = {
    url: Args.string({
      description: 'the device, as in a metric file, without its last part',
      required: true,
    }),
  };

  static override flags = {
    output: Flags.string({
      char: 'o',
      description: 'write to this file, which is there whole or not at all',
      helpValue: 'FILE',
    }),
    force: Flags.boolean({ description: 'replace a file that exists', dependsOn: ['output'] }),
    profile: Flags.string({
      description: 'only this kind of device or table; a wrong name tells all',
      helpValue: 'NAME',
    }),
    'device-id': Flags.string({
      aliases: ['device'], // as kw device probe calls it
      description: 'device name, instead of the host of the URL',
      helpValue: 'NAME',
    }),
    period: Flags.string({ description: 'one period for all metrics, such as 1s', helpValue: 'DURATION' }),
    alias: Flags.string({
      description: 'node that the whole device belongs to, as the BMC of NODE',
      helpValue: 'NODE',
      exclusive: ['alias-names'],
    }),
    'alias-names': Flags.boolean({ description: 'outlets are named after the nodes behind them' }),
    all: Flags.boolean({ description: 'also interfaces that are down and sensors without a reading' }),
    timeout: Flags.string({ description: 'longest time in all', default: '60s', helpValue: 'DURATION' }),
    credential: Flags.string({
      description: 'named credential of kw.yaml to use and to write',
      helpValue: 'NAME',
    }),
    config: settingsFlags.config,
  };

  static override enableJsonFlag = true;

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(DeviceDiscover);
    const { urlContext } = await import('../../lib/config/credentials.ts');
    const { metricFileText, variablesOf } = await import('../../lib/config/metricFileText.ts');
    const { loadSettings } = await import('../../lib/config/settings.ts');
    const { discover, findingJson } = await import('../../lib/devices/discover.ts');
    const { createExportFile } = await import('../../lib/output/exportFile.ts');
    const { Progress } = await import('../../lib/output/progress.ts');
    const { formatUtc, nowUs, parseDurationMs } = await import('../../lib/time.ts');
    const periodMs = flags.period === undefined ? undefined : periodOf(parseDurationMs(flags.period));
    const timeoutMs = parseDurationMs(flags.timeout);
    const settings = loadSettings({ config: flags.config });
    // Before the device is asked: a file that may not be written is told at once.
    const file = flags.output === undefined ? undefined : await createExportFile(flags.output, flags);
    const progress = new Progress();
    const giveUp = new AbortController();
    const onSignal = () => giveUp.abort();
    process.once('SIGINT', onSignal).once('SIGTERM', onSignal);
    try {
      const found = await discover(args.url, {
        urlContext: urlContext(settings, process.cwd(), flags.credential),
        deviceId: flags['device-id'],
        profile: flags.profile,
        all: flags.all,
        timeoutMs,
        onProgress: (text) => progress.show(() => text),
        signal: giveUp.signal,
      });
      progress.end();
      if (giveUp.signal.aborted) {
        this.logToStderr('stopped: nothing was written');
        return this.exit(130);
      }
      const { findings, problems } = found;
      const prefix = findings.length === 0 ? 'kw' : 'warning';
      for (const { kind, message } of problems) this.logToStderr(`${prefix}: ${kind}: ${message}`);
      if (findings.length === 0) process.exitCode = 1;
      else if (file !== undefined || !this.jsonEnabled()) {
        const text = metricFileText(found, {
          credential: flags.credential,
          periodMs,
          alias: flags.alias,
          aliasNames: flags['alias-names'],
          date: formatUtc(nowUs()).slice(0, 10),
        });
        if (file === undefined) this.log(text.trimEnd());
        else {
          await file.write(Buffer.from(text));
          await file.close();
          this.logToStderr(`${flags.output}: ${findings.length} metrics (${found.profiles.join(', ')})`);
        }
        const unset = variablesOf(findings.map(({ url }) => url)).filter(
          (name) => process.env[name] === undefined,
        );
        if (unset.length > 0)
          this.logToStderr(`set ${unset.join(' and ')} in the environment before you use it`);
      }
      if (findings.length === 0 && problems.length === 0)
        this.logToStderr(
          'the device answers, but has nothing that kw knows: try --all, or another --profile',
        );
      return {
        url: found.safeUrl,
        device_id: found.deviceId,
        profiles: found.profiles,
        about: found.about ?? [],
        findings: findings.map(findingJson),
        problems,
      };
    } finally {
      progress.end();
      file?.abort();
      process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
    }
  }
}

/** A period that a metric file may have, in milliseconds. */
function periodOf(periodMs: number): number {
  if (periodMs >= 10 && periodMs <= 86_400_000) return periodMs;
  throw new KwError('--period must be from 10 ms to a day', { code: 'BAD_PERIOD', exit: EXIT_USAGE });
}
