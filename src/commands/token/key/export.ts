import { KwCommand } from '../../../cli/command.ts';
import { settingsFlags } from '../../../lib/config/flags.ts';

/** kw token key export */
export default class TokenKeyExport extends KwCommand {
  static override summary = 'print what verifies tokens, as a JSON Web Key Set for PostgREST';
  static override description =
    'Of RS256 and ES256 these are public keys. Of HS256 it is the secret itself, with which tokens can be made: keep the ' +
    'output as the key file is kept.';
  static override examples = [
    '<%= config.bin %> token key export > /etc/postgrest/jwks.json   # jwt-secret = "@/etc/postgrest/jwks.json"',
  ];
  static override flags = { ...settingsFlags };

  async run(): Promise<void> {
    const { flags } = await this.parse(TokenKeyExport);
    const { loadSettings } = await import('../../../lib/config/settings.ts');
    const { readKeys } = await import('../../../lib/tokens/keyFile.ts');
    const { verifyingJwk } = await import('../../../lib/tokens/keys.ts');
    const keys = readKeys(loadSettings(flags).server.keysFile);
    if (keys.some(({ algorithm }) => algorithm === 'HS256')) {
      this.logToStderr('this holds a secret with which tokens can be made: keep it private');
    }
    this.log(JSON.stringify({ keys: keys.map(verifyingJwk) }, null, 2));
  }
}
