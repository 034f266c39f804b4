import { Flags } from '@oclif/core';
import { KwCommand } from '../../../cli/command.ts';
import { settingsFlags } from '../../../lib/config/flags.ts';
import type { Algorithm } from '../../../lib/tokens/keys.ts';

/** kw token key rotate */
export default class TokenKeyRotate extends KwCommand {
  static override summary = 'make a new key, which signs the tokens from now on';
  static override description =
    'Tokens of the keys before it hold until they end, or until their key is removed. A running kw serve takes the new ' +
    'key within a second. HS256 is one secret for signing and verifying; of RS256 and ES256 others, such as PostgREST, ' +
    'need no more than the public key.';
  static override examples = [
    '<%= config.bin %> token key rotate',
    '<%= config.bin %> token key rotate --algorithm ES256',
  ];
  static override enableJsonFlag = true;
  static override flags = {
    algorithm: Flags.custom<Algorithm>({
      description: 'HS256 (secret), RS256 (RSA, 3072 bits) or ES256 (elliptic curve P-256)',
      options: ['HS256', 'RS256', 'ES256'],
      default: 'HS256',
    })(),
    ...settingsFlags,
  };

  async run(): Promise<{ key: string; algorithm: string; file: string }> {
    const { flags } = await this.parse(TokenKeyRotate);
    const { loadSettings } = await import('../../../lib/config/settings.ts');
    const { changeKeys } = await import('../../../lib/tokens/keyFile.ts');
    const { generateKey } = await import('../../../lib/tokens/keys.ts');
    const file = loadSettings(flags).server.keysFile;
    const key = generateKey(flags.algorithm);
    await changeKeys(file, (keys) => [...keys, key]);
    this.log(`${key.kid} (${key.algorithm}) in ${file}`);
    return { key: key.kid ?? '', algorithm: key.algorithm, file };
  }
}
