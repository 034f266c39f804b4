/** Flags that every command with settings has. */
import { Flags } from '@oclif/core';

export const settingsFlags = {
  config: Flags.string({
    description: 'settings file, instead of ./kw.yaml, ~/.config/kw/kw.yaml or /etc/kwollect/kw.yaml',
    helpGroup: 'SETTINGS',
    helpValue: 'FILE',
  }),
  database: Flags.string({
    description:
      'PostgreSQL database, instead of KW_DATABASE_URL; a password is better put in the environment',
    helpGroup: 'SETTINGS',
    helpValue: 'URL',
  }),
};
