import { ExportCommand, exportFlags } from '../../cli/exportCommand.ts';

/** kw export ndjson */
export default class ExportNdjson extends ExportCommand {
  static override summary = 'write metrics to a file of JSON lines';
  static override description =
    'One object a line. Values that are no numbers are null; the text of a text value is in the label value_str. ' +
    'The file is there whole or not at all.';
  static override examples = [
    '<%= config.bin %> export ndjson --job 1234 --output job.ndjson',
    '<%= config.bin %> export ndjson --job 1234 --metric wattmetre_power_watt --output job.ndjson.gz --force',
    '<%= config.bin %> export ndjson --device node-1 --from yesterday --to today --wait 30s --output - | wc -l',
  ];
  static override flags = exportFlags;

  async run(): Promise<void> {
    const { flags } = await this.parse(ExportNdjson);
    await this.export('ndjson', flags);
  }
}
