/** The SNMP driver: v1, v2c and v3. */
import type { Driver, SessionContext } from '../driver.ts';
import { discoverSnmp } from './discover.ts';
import { PROFILES } from './profiles/index.ts';
import { SnmpSession } from './session.ts';
import { parseSnmpDeviceUrl, parseSnmpUrl, type SnmpUrl, URL_FORM } from './url.ts';

export const snmpDriver: Driver<SnmpUrl> = {
  schemes: ['snmp', 'snmpv1'],
  urlForm: URL_FORM,
  parseUrl: parseSnmpUrl,
  open: (_deviceId: string, url: SnmpUrl, context: SessionContext) => new SnmpSession(url, context),
  parseDeviceUrl: parseSnmpDeviceUrl,
  profiles: PROFILES,
  discover: discoverSnmp,
};
