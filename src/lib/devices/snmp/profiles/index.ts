/** All profiles, in the order of a file when a device fits several. A new one is a file beside this and a line here. */
import { apcRpdu, apcRpdu2 } from './apc.ts';
import { eatonEpdu } from './eaton.ts';
import { ciscoEntitySensor, entitySensor } from './entitySensor.ts';
import { idrac } from './idrac.ts';
import { ifMib } from './ifMib.ts';
import type { Profile } from './profile.ts';
import { raritanPdu2 } from './raritan.ts';
import { server } from './server.ts';

export const PROFILES: readonly Profile[] = [
  apcRpdu2,
  apcRpdu,
  raritanPdu2,
  eatonEpdu,
  idrac,
  entitySensor,
  ciscoEntitySensor,
  ifMib,
  server,
];
