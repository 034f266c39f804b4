/** The database of a collector: the configured one, else the embedded one, which is started. */
import type { Settings } from '../config/settingsModel.ts';
import type { DatabaseTarget } from '../database/connection.ts';
import { startEmbedded } from '../database/embedded/server.ts';
import { resolveDatabase } from '../database/resolve.ts';
import type { Logger } from '../logger.ts';

export async function collectorDatabase(settings: Settings, logger: Logger): Promise<DatabaseTarget> {
  if (settings.databaseUrl) return resolveDatabase(settings);
  logger.info('no database is configured: the embedded one is used');
  const { url, label, adopted } = await startEmbedded(settings.dataFolder);
  if (!adopted) logger.info(`started the ${label}; it runs on until kw db stop`);
  return { url, label, embedded: true };
}
