/** What `kw export csv`, `json` and `ndjson` share: a query into a file, or into the standard output with `-o -`. */
import { Flags } from '@oclif/core';
import { settingsFlags } from '../lib/config/flags.ts';
import type { MachineFormat } from '../lib/metrics/answer.ts';
import { type ParsedFlags, selectionFlags, valueFlags } from '../lib/metrics/flags.ts';
import { KwCommand } from './command.ts';

export const exportFlags = {
  output: Flags.string({
    char: 'o',
    description: 'file, compressed if its name ends in .gz; - is the standard output',
    helpValue: 'FILE',
    required: true,
  }),
  force: Flags.boolean({ description: 'replace a file that exists' }),
  ...selectionFlags,
  ...valueFlags,
  ...settingsFlags,
};

export interface ExportFlags extends ParsedFlags {
  readonly output: string;
  readonly force: boolean;
  readonly config?: string | undefined;
  readonly database?: string | undefined;
}

export abstract class ExportCommand extends KwCommand {
  protected async export(format: MachineFormat, flags: ExportFlags): Promise<void> {
    const { loadSettings } = await import('../lib/config/settings.ts');
    const { readRequest } = await import('../lib/metrics/flags.ts');
    const { withClient } = await import('../lib/database/resolve.ts');
    const { cancelOnSignal } = await import('../lib/database/interrupt.ts');
    const { writeAnswer } = await import('../lib/metrics/answer.ts');
    const { OutputClosed, standardOutput } = await import('../lib/output/destination.ts');
    const { createExportFile } = await import('../lib/output/exportFile.ts');
    const { Progress, sizeText, countText } = await import('../lib/output/progress.ts');
    const settings = loadSettings(flags);
    const request = await readRequest(flags, settings.timeZone);
    const file = flags.output === '-' ? undefined : await createExportFile(flags.output, flags);
    const output = file ?? standardOutput();
    const progress = new Progress();
    try {
      await withClient(settings, async (client) => {
        const stop = cancelOnSignal(client, () => {
          progress.end();
          output.abort();
        });
        const { rows, warnings, remark, empty } = await writeAnswer(client, request, format, output, {
          onProgress: (count) =>
            progress.show(() => `${countText(count)} rows, ${sizeText(file?.bytes ?? 0)}`),
        });
        await output.close();
        stop();
        progress.end();
        for (const warning of warnings) this.logToStderr(`warning: ${warning}`);
        if (remark !== undefined) this.logToStderr(remark);
        for (const sentence of empty) this.logToStderr(sentence);
        if (file) this.logToStderr(`${flags.output}: ${countText(rows)} rows, ${sizeText(file.bytes)}`);
      });
    } catch (error) {
      progress.end();
      output.abort();
      if (!(error instanceof OutputClosed)) throw error;
    }
  }
}
