/** Named credentials of kw.yaml and references in URLs, resolved when a URL needs them. */
import { dirname } from 'node:path';
import type { UrlContext } from '../devices/driver.ts';
import { closest } from '../didYouMean.ts';
import { KwError } from '../errors.ts';
import { resolveReferences } from './references.ts';
import type { Settings } from './settingsModel.ts';

/** The fields of a named credential, references resolved. Throws KwError NO_CREDENTIAL or BAD_REFERENCE. */
function resolveCredential(settings: Settings, name: string): Record<string, string> {
  const credential = Object.hasOwn(settings.credentials, name) ? settings.credentials[name] : undefined;
  if (credential === undefined) {
    const names = Object.keys(settings.credentials);
    const near = closest(name, names)[0];
    throw new KwError(`there is no credential ${JSON.stringify(name.slice(0, 60))}`, {
      code: 'NO_CREDENTIAL',
      hint:
        near !== undefined
          ? `did you mean "${near}"?`
          : names.length > 0
            ? `kw.yaml has ${names.slice(0, 10).join(', ')}`
            : 'write it under "credentials:" in kw.yaml',
    });
  }
  const source = { folder: dirname(settings.file ?? '.'), env: process.env };
  return Object.fromEntries(
    Object.entries(credential).map(([field, text]) => [field, resolveReferences(text, source)]),
  );
}

/**
 * What a driver may ask while it parses a URL.
 * @param folder where relative `${file:...}` paths start: the folder of the file in which the URL stands
 * @param credentialName the entry's `credential`, or of `kw device probe --credential`
 */
export function urlContext(settings: Settings, folder: string, credentialName?: string): UrlContext {
  const resolved = new Map<string, string>();
  return {
    resolveSecret(text) {
      const known = resolved.get(text);
      if (known !== undefined) return known;
      const secret = resolveReferences(text, { folder, env: process.env });
      resolved.set(text, secret);
      return secret;
    },
    credential: credentialName === undefined ? undefined : resolveCredential(settings, credentialName),
  };
}
