/** Flags that every command with settings has, and those of commands that work through a server too. */
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

/** Of commands that need no database where there is a `kw serve`. */
export const remoteFlags = {
  ...settingsFlags,
  url: Flags.string({
    description:
      'kw serve to ask instead of a database, instead of KW_URL; KW_TOKEN says who you are. --database and KW_DATABASE_URL win over KW_URL',
    helpGroup: 'SETTINGS',
    helpValue: 'URL',
    exclusive: ['database'],
  }),
};
