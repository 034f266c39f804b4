import { ExportCommand, exportFlags } from '../../cli/exportCommand.ts';

/** kw export csv */
export default class ExportCsv extends ExportCommand {
  static override summary = 'write metrics to a CSV file';
  static override description =
    'RFC 4180, with a header: timestamp,device_id,metric_id,value,labels; labels are JSON. ' +
    'The file is there whole or not at all.';
  static override examples = [
    '<%= config.bin %> export csv --job 1234 --output job.csv',
    '<%= config.bin %> export csv --job 1234 --metric wattmetre_power_watt --output job.csv.gz --force',
    '<%= config.bin %> export csv --device node-1 --from yesterday --to today --wait 30s --output - | wc -l',
  ];
  static override flags = exportFlags;

  async run(): Promise<void> {
    const { flags } = await this.parse(ExportCsv);
    await this.export('csv', flags);
  }
}
