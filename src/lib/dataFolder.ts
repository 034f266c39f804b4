/** Where kw keeps what it must remember on this machine: the embedded server, the collector's identity and locks. */
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';

/** `KW_DATA_DIR`, else `$XDG_DATA_HOME/kw`, else `~/.local/share/kw`. Not created here. */
export function dataFolder(env: NodeJS.ProcessEnv = process.env): string {
  if (env.KW_DATA_DIR) return resolve(env.KW_DATA_DIR);
  if (env.XDG_DATA_HOME && isAbsolute(env.XDG_DATA_HOME)) return join(env.XDG_DATA_HOME, 'kw');
  return join(homedir(), '.local', 'share', 'kw');
}
