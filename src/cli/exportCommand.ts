/** What `kw export csv`, `json` and `ndjson` share: a query into a file, or into the standard output with `-o -`. */
import { Flags } from '@oclif/core';
import { remoteFlags } from '../lib/config/flags.ts';
import type { Answer, MachineFormat } from '../lib/metrics/answer.ts';
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
  ...remoteFlags,
};

export interface ExportFlags extends ParsedFlags {
  readonly output: string;
  readonly force: boolean;
  readonly config?: string | undefined;
  readonly database?: string | undefined;
  readonly url?: string | undefined;
}

export abstract class ExportCommand extends KwCommand {
  protected async export(format: MachineFormat, flags: ExportFlags): Promise<void> {
    const { loadSettings } = await import('../lib/config/settings.ts');
    const { readRequest } = await import('../lib/metrics/flags.ts');
    const { withAnswer } = await import('../lib/remote/reach.ts');
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
      const write = async (answer: Answer) => {
        const notes = await writeAnswer(answer, request, format, output, {
          onProgress: (count) =>
            progress.show(() => `${countText(count)} rows, ${sizeText(file?.bytes ?? 0)}`),
        });
        await output.close();
        return notes;
      };
      const { rows, warnings, remark, empty } = await withAnswer(settings, write, () => {
        progress.end();
        output.abort();
      });
      progress.end();
      for (const warning of warnings) this.logToStderr(`warning: ${warning}`);
      if (remark !== undefined) this.logToStderr(remark);
      for (const sentence of empty) this.logToStderr(sentence);
      if (file) this.logToStderr(`${flags.output}: ${countText(rows)} rows, ${sizeText(file.bytes)}`);
    } catch (error) {
      progress.end();
      output.abort();
      if (!(error instanceof OutputClosed)) throw error;
    }
  }
}
