/** The words for states of discrete sensors: IPMI 2.0 tables 42-2 (generic) and 42-3 (of a sensor type), shortened. */
import type { SensorRecord } from './sdrRecord.ts';

/** By event/reading type; the place in the list is the offset of the state. */
const GENERIC: Readonly<Record<number, string>> = {
  2: 'transition to idle|transition to active|transition to busy',
  3: 'state deasserted|state asserted',
  4: 'predictive failure deasserted|predictive failure asserted',
  5: 'limit not exceeded|limit exceeded',
  6: 'performance met|performance lags',
  7:
    'OK|non-critical from OK|critical from less severe|non-recoverable from less severe|' +
    'non-critical from more severe|critical from non-recoverable|non-recoverable|monitor|informational',
  8: 'absent|present',
  9: 'disabled|enabled',
  10: 'running|in test|power off|on line|off line|off duty|degraded|power save|install error',
  11:
    'fully redundant|redundancy lost|redundancy degraded|non-redundant, sufficient from redundant|' +
    'non-redundant, sufficient from insufficient|non-redundant, insufficient resources|' +
    'redundancy degraded from fully redundant|redundancy degraded from non-redundant',
  12: 'D0 power state|D1 power state|D2 power state|D3 power state',
};

/** By sensor type, for event/reading type 6Fh. */
const BY_SENSOR_TYPE: Readonly<Record<number, string>> = {
  5:
    'general chassis intrusion|drive bay intrusion|I/O card area intrusion|processor area intrusion|LAN leash lost|' +
    'unauthorized dock|fan area intrusion',
  6:
    'secure mode violation attempt|user password violation|setup password violation|network boot password violation|' +
    'other pre-boot password violation|out-of-band access password violation',
  7:
    'IERR|thermal trip|FRB1/BIST failure|FRB2/hang in POST failure|FRB3/startup failure|configuration error|' +
    'uncorrectable CPU-complex error|presence detected|disabled|terminator presence detected|throttled|' +
    'machine check exception|correctable machine check error',
  8:
    'presence detected|failure detected|predictive failure|input lost (AC/DC)|input lost or out-of-range|' +
    'input out-of-range, but present|configuration error|inactive (standby)',
  9:
    'power off|power cycle|240 VA power down|interlock power down|AC lost|soft power control failure|' +
    'power unit failure detected|predictive failure',
  12:
    'correctable ECC|uncorrectable ECC|parity|memory scrub failed|memory device disabled|' +
    'ECC logging limit reached|presence detected|configuration error|spare|throttled|critical overtemperature',
  13:
    'drive present|drive fault|predictive failure|hot spare|consistency check in progress|in critical array|' +
    'in failed array|rebuild in progress|rebuild aborted',
  15: 'firmware error|firmware hang|firmware progress',
  16:
    'correctable memory error logging disabled|event type logging disabled|log area cleared|all event logging disabled|' +
    'log full|log almost full|correctable machine check error logging disabled',
  17: 'BIOS reset|OS reset|OS shut down|OS power down|OS power cycle|OS NMI|OS expired|pre-timeout interrupt',
  18:
    'system reconfigured|OEM system boot event|undetermined system hardware failure|' +
    'entry added to auxiliary log|PEF action|timestamp clock synch',
  19:
    'front panel NMI|bus timeout|I/O channel check NMI|software NMI|PCI PERR|PCI SERR|EISA fail safe timeout|' +
    'bus correctable error|bus uncorrectable error|fatal NMI|bus fatal error|bus degraded',
  20: 'power button pressed|sleep button pressed|reset button pressed|FRU latch open|FRU service request button',
  25: 'soft power control failure|thermal trip',
  27: 'connected|configuration error',
  29:
    'initiated by power up|initiated by hard reset|initiated by warm reset|user requested PXE boot|' +
    'automatic boot to diagnostic|OS initiated hard reset|OS initiated warm reset|system restart',
  30: 'no bootable media|non-bootable diskette|PXE server not found|invalid boot sector|boot selection timeout',
  31:
    'A: boot completed|C: boot completed|PXE boot completed|diagnostic boot completed|CD-ROM boot completed|' +
    'ROM boot completed|boot completed|OS installation started|OS installation completed|' +
    'OS installation aborted|OS installation failed',
  32: 'critical stop during load|run-time critical stop|graceful stop|graceful shutdown|PEF soft-shutdown|agent not responding',
  33:
    'fault|identify|device installed|ready for installation|ready for removal|slot power off|removal requested|' +
    'interlock|slot disabled|spare device',
  34:
    'S0/G0 working|S1 sleeping, context maintained|S2 sleeping, processor context lost|S3 sleeping, memory retained|' +
    'S4 suspended to disk|S5/G2 soft-off|S4/S5 soft-off|G3 mechanical off|sleeping in S1, S2 or S3|G1 sleeping|' +
    'S5 entered by override|legacy on|legacy off',
  // Offsets 4 to 7 are reserved.
  35: 'timer expired|hard reset|power down|power cycle|||||timer interrupt',
  36: 'page|LAN alert|PET|SNMP OEM format trap',
  37: 'present|absent|disabled',
  39: 'LAN heartbeat lost|LAN heartbeat',
  40:
    'sensor access degraded|controller access degraded|controller off-line|controller unavailable|sensor failure|' +
    'FRU failure',
  41: 'low|failed|presence detected',
  42: 'session activated|session deactivated|invalid user name or password|invalid password disable',
  43:
    'change detected|firmware change detected|hardware incompatibility|firmware incompatibility|' +
    'unsupported hardware|unsupported firmware|change successful|firmware change successful',
  44:
    'not installed|inactive|activation requested|activation in progress|active|deactivation requested|' +
    'deactivation in progress|communication lost',
};

const SENSOR_SPECIFIC = 0x6f;
/** Offsets 0 to 14; bit 15 is reserved. */
const MAX_STATES = 15;

/** The asserted states in words, as `presence detected, failure detected`; `OK` when none is. */
export function statesText({ eventType, sensorType }: SensorRecord, states: number): string {
  const words =
    (eventType === SENSOR_SPECIFIC ? BY_SENSOR_TYPE[sensorType] : GENERIC[eventType])?.split('|') ?? [];
  const asserted: string[] = [];
  for (let offset = 0; offset < MAX_STATES; offset++)
    if (states & (1 << offset)) asserted.push(words[offset] || `state ${offset}`);
  return asserted.length === 0 ? 'OK' : asserted.join(', ');
}

const THRESHOLDS = [
  'at or below lower non-critical',
  'at or below lower critical',
  'at or below lower non-recoverable',
  'at or above upper non-critical',
  'at or above upper critical',
  'at or above upper non-recoverable',
];

/** What the BMC says of a number and its thresholds: the worst one crossed, or `OK`. */
export function thresholdText(states: number): string {
  for (let bit = THRESHOLDS.length - 1; bit >= 0; bit--)
    if (states & (1 << bit)) return THRESHOLDS[bit] as string;
  return 'OK';
}

const SENSOR_TYPES = (
  '|temperature|voltage|current|fan|physical security|platform security|processor|power supply|power unit|' +
  'cooling device|other units|memory|drive slot|POST memory resize|system firmware|event logging|watchdog 1|' +
  'system event|critical interrupt|button or switch|module or board|microcontroller|add-in card|chassis|chip set|' +
  'other FRU|cable|terminator|system boot|boot error|OS boot|OS stop|slot or connector|ACPI power state|watchdog 2|' +
  'platform alert|entity presence|monitor ASIC|LAN|management subsystem|battery|session audit|version change|FRU state'
).split('|');

export function sensorTypeName(sensorType: number): string {
  const hex = `0x${sensorType.toString(16).padStart(2, '0')}`;
  if (sensorType >= 0xc0) return `OEM (${hex})`;
  return SENSOR_TYPES[sensorType] || `type ${hex}`;
}
