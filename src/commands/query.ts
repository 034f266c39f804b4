import { Flags } from '@oclif/core';
import { KwCommand } from '../cli/command.ts';
import { remoteFlags } from '../lib/config/flags.ts';
import type { Answer, MachineFormat, Notes } from '../lib/metrics/answer.ts';
import { type QueryRequest, selectionFlags, valueFlags } from '../lib/metrics/flags.ts';

/** Rows of a table unless --limit says otherwise. */
const TABLE_ROWS = 50;
/** A table is kept whole until its widths are known. */
const MAX_TABLE_ROWS = 100_000;

/** kw query */
export default class Query extends KwCommand {
  static override summary = 'print the metrics of a job, of devices, of a time';
  static override description =
    'A job gives the nodes and times that are not given. Bounds are included. Without a job and a time it is the last ' +
    '5 minutes. Rows come in order of time, as they are read; what may be missing is said on stderr. ' +
    'CSV and JSON have times in UTC with six decimals; the table has them in the local zone.';
  static override examples = [
    '<%= config.bin %> query --job 1234',
    '<%= config.bin %> query --job 1234 --format csv > job.csv',
    '<%= config.bin %> query --job current --metric wattmetre_power_watt --every 10s --wide',
    "<%= config.bin %> query --device node-1,node-2 --metric 'prom_node_network_*_bytes_total' --from -1h --rate",
    '<%= config.bin %> query --job current --metric wattmetre_power_watt --follow',
    '<%= config.bin %> query --device pdu-1 --from 2026-11-22T10:00 --to 2026-11-22T11:00 --summary --format json',
  ];
  static override flags = {
    ...selectionFlags,
    ...valueFlags,
    format: Flags.string({
      description: 'table is for people and has the first rows only; the others have all',
      options: ['table', 'csv', 'json', 'ndjson'],
      default: 'table',
      helpGroup: 'OUTPUT',
    }),
    limit: Flags.integer({
      description: `at most so many rows, the earliest; 0 is all; default ${TABLE_ROWS} for a table`,
      min: 0,
      helpGroup: 'OUTPUT',
      helpValue: 'ROWS',
    }),
    follow: Flags.boolean({
      description:
        'print rows as they come in, until Ctrl-C: the last 10 seconds first, then each row once, in the order in which ' +
        'they are stored; with --format table, csv or ndjson',
      helpGroup: 'OUTPUT',
      relationships: [
        { type: 'none', flags: ['from', 'to', 'wait', 'rate', 'every', 'agg', 'summary', 'wide'] },
      ],
    }),
    ...remoteFlags,
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(Query);
    if (flags.follow) {
      const { followCommand } = await import('../lib/live/command.ts');
      return await followCommand(flags, (message) => this.logToStderr(message));
    }
    const { loadSettings } = await import('../lib/config/settings.ts');
    const { readRequest } = await import('../lib/metrics/flags.ts');
    const { withAnswer } = await import('../lib/remote/reach.ts');
    const { OutputClosed } = await import('../lib/output/destination.ts');
    const settings = loadSettings(flags);
    const request = await readRequest(flags, settings.timeZone);
    try {
      const notes = await withAnswer(settings, (answer) =>
        flags.format === 'table'
          ? this.#table(answer, request, flags.limit)
          : this.#stream(answer, request, flags.format as MachineFormat, flags.limit || undefined),
      );
      this.#tell(notes);
    } catch (error) {
      if (!(error instanceof OutputClosed)) throw error;
    }
  }

  async #stream(
    answer: Answer,
    request: QueryRequest,
    format: MachineFormat,
    limit: number | undefined,
  ): Promise<Notes> {
    const { writeAnswer } = await import('../lib/metrics/answer.ts');
    const { standardOutput } = await import('../lib/output/destination.ts');
    const output = standardOutput();
    const notes = await writeAnswer(answer, request, format, output, { limit });
    await output.close();
    return notes;
  }

  async #table(answer: Answer, request: QueryRequest, asked: number | undefined): Promise<Notes> {
    const { columnsOf } = await import('../lib/metrics/answer.ts');
    const { unitFinder } = await import('../lib/metrics/units.ts');
    const { standardOutput } = await import('../lib/output/destination.ts');
    const { terminalWidth } = await import('../lib/output/fit.ts');
    const { TableSink } = await import('../lib/output/table.ts');
    const { localTimeZone } = await import('../lib/time.ts');
    const limit = Math.min(asked === 0 ? MAX_TABLE_ROWS : (asked ?? TABLE_ROWS), MAX_TABLE_ROWS);
    let table: InstanceType<typeof TableSink> | undefined;
    const notes = await answer(request, { limit, units: !request.rate }, ({ series, units }) => {
      table = new TableSink({
        timeZone: request.timeZone ?? localTimeZone(),
        summary: request.summary,
        wide: series && columnsOf(series),
        width: terminalWidth(process.stdout),
        unitOf: unitFinder(units),
      });
      return table;
    });
    const output = standardOutput();
    await output.write(Buffer.from(table?.toString() ?? ''));
    await output.close();
    if (notes.cut) {
      this.logToStderr(
        limit === MAX_TABLE_ROWS
          ? `the first ${limit} rows, which is as long as a table gets; --format csv has all`
          : `the first ${limit === 1 ? 'row' : `${limit} rows`}; --limit 0 shows all, --format csv is for programs`,
      );
    }
    return notes;
  }

  #tell({ warnings, remark, empty }: Notes): void {
    for (const warning of warnings) this.logToStderr(`warning: ${warning}`);
    if (remark !== undefined) this.logToStderr(remark);
    for (const sentence of empty) this.logToStderr(sentence);
  }
}
