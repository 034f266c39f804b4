/** The settings of `kw serve`: those of every command, and what its flags say. */
import { parseListen } from '../config/listen.ts';
import { loadSettings, type SettingsFlags } from '../config/settings.ts';
import type { Settings } from '../config/settingsModel.ts';
import { EXIT_USAGE, KwError } from '../errors.ts';

/** @throws KwError BAD_LISTEN; what loadSettings throws */
export function serveSettings(flags: SettingsFlags & { readonly listen?: string | undefined }): Settings {
  const settings = loadSettings(flags);
  if (flags.listen === undefined) return settings;
  const listen = parseListen(flags.listen);
  if (listen === undefined) {
    throw new KwError(`--listen ${JSON.stringify(flags.listen)} is no address and port`, {
      code: 'BAD_LISTEN',
      exit: EXIT_USAGE,
      hint: 'write 127.0.0.1:9843, [::]:9843 or a port alone',
    });
  }
  // The getters of the settings (databaseUrl, token) stay what they are.
  return Object.create(settings, {
    server: { value: { ...settings.server, listen }, enumerable: true },
  }) as Settings;
}
