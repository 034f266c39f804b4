import { ExportCommand, exportFlags } from '../../cli/exportCommand.ts';

/** kw export json */
export default class ExportJson extends ExportCommand {
  static override summary = 'write metrics to a JSON file';
  static override description =
    'One array of objects. Values that are no numbers are null; the text of a text value is in the label value_str. ' +
    'The file is there whole or not at all.';
  static override examples = [
    '<%= config.bin %> export json --job 1234 --output job.json',
    '<%= config.bin %> export json --job 1234 --metric wattmetre_power_watt --output job.json.gz --force',
    '<%= config.bin %> export json --device node-1 --from yesterday --to today --wait 30s --output - | wc -l',
  ];
  static override flags = exportFlags;

  async run(): Promise<void> {
    const { flags } = await this.parse(ExportJson);
    await this.export('json', flags);
  }
}
