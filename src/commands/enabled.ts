import { KwCommand } from '../cli/command.ts';
import { remoteFlags } from '../lib/config/flags.ts';
import type { Promotion } from '../lib/promotions/listPromotions.ts';

/** kw enabled */
export default class Enabled extends KwCommand {
  static override summary = 'list the optional metrics that are enabled, where and until when';
  static override examples = ['<%= config.bin %> enabled', '<%= config.bin %> enabled --json'];
  static override flags = { ...remoteFlags };
  static override enableJsonFlag = true;

  async run(): Promise<{ enabled: unknown[] }> {
    const { flags } = await this.parse(Enabled);
    const { loadSettings } = await import('../lib/config/settings.ts');
    const { runCall } = await import('../lib/remote/reach.ts');
    const { enabledCall } = await import('../lib/remote/calls.ts');
    const { groupPromotions } = await import('../lib/promotions/listPromotions.ts');
    const { jobLabel } = await import('../lib/jobs/model.ts');
    const { formatLocal, formatUtc, localTimeZone } = await import('../lib/time.ts');
    const settings = loadSettings(flags);
    const promotions = await runCall(settings, enabledCall, {});
    if (!this.jsonEnabled()) {
      const timeZone = settings.timeZone ?? localTimeZone();
      const until = ({ job, expiresUs }: Pick<Promotion, 'job' | 'expiresUs'>) =>
        expiresUs === undefined
          ? `job ${job ? jobLabel(job) : ''} ends`
          : formatLocal(expiresUs, timeZone, 0);
      const rows = groupPromotions(promotions).map((group) => [
        group.pattern,
        group.job ? jobLabel(group.job) : '-',
        group.owner,
        until(group),
        group.devices,
      ]);
      const { terminalWidth } = await import('../lib/output/fit.ts');
      const { listing } = await import('../lib/output/listing.ts');
      if (rows.length === 0) this.logToStderr('nothing is enabled');
      else
        this.log(listing(['PATTERN', 'JOB', 'BY', 'UNTIL', 'DEVICES'], rows, terminalWidth(process.stdout)));
    }
    const time = (us: number | undefined) => (us === undefined ? null : formatUtc(us));
    return {
      enabled: promotions.map(({ device, pattern, job, owner, enabledUs, expiresUs }) => ({
        device_id: device,
        pattern,
        job_id: job?.jobId ?? null,
        source: job?.source ?? null,
        owner,
        enabled_at: time(enabledUs),
        expires_at: time(expiresUs),
      })),
    };
  }
}
