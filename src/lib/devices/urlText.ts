/** From a URL that somebody typed to its driver, with mistakes told by their place. */
import { KwError } from '../errors.ts';
import { type AnyDriver, type DeviceUrl, DeviceUrlError } from './driver.ts';
import { driverFor, knownSchemes } from './registry.ts';

/** @throws KwError BAD_URL when the text has no protocol, or one that kw does not speak */
export function driverOf(text: string): AnyDriver {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text)?.[1]?.toLowerCase();
  const driver = scheme === undefined ? undefined : driverFor(scheme);
  if (driver) return driver;
  const what = scheme === undefined ? 'the URL has no protocol' : `kw does not speak ${scheme.slice(0, 40)}`;
  const hint = `protocols: ${knownSchemes().join(', ')}`;
  throw new KwError(what, { code: 'BAD_URL', exit: 2, hint });
}

/** What `parse` makes of the URL. @throws KwError BAD_URL with the place */
export function readUrl(driver: AnyDriver, parse: () => DeviceUrl): DeviceUrl {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof DeviceUrlError)) throw error;
    throw new KwError(`${error.message} (character ${error.offset + 1} of the URL)`, {
      code: 'BAD_URL',
      exit: 2,
      hint: error.hint ?? `the form is ${driver.urlForm}`,
    });
  }
}

/** The host of a URL without its port, as the name of a device. */
export function hostOf(url: DeviceUrl): string {
  return url.hostPort.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
}
