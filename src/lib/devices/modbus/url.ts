/**
 * The URL of one number in a device that speaks Modbus TCP, or in one behind a gateway:
 *
 *   modbus://host[:port]/unit/register[?type=float32&order=big&table=holding&scale=0.1]
 *   modbus://host[:port]/unit/register/le_le_f32           Kwollect's form: order of bytes, of registers, and type
 */
import { type DeviceUrl, DeviceUrlError } from '../driver.ts';
import {
  type Parameter,
  parametersOf,
  parseHost,
  parsePort,
  splitUrl,
  type UrlParts,
} from '../shared/urlParts.ts';
import { type ByteOrder, type NumberType, REGISTERS } from './decode.ts';

export const URL_FORM = 'modbus://host[:port]/unit/register[?type=float32&order=big&table=holding]';
const HINT = `write ${URL_FORM}`;
const DEFAULT_PORT = 502;

/** The four tables of a device (MODBUS Application Protocol 1.1b3, section 4.3). */
export type Table = 'holding' | 'input' | 'coil' | 'discrete';

export interface ModbusUrl extends DeviceUrl {
  /** For the socket: an IPv6 address without brackets. */
  readonly host: string;
  readonly port: number;
  /** Address of the device behind a gateway, 0 to 255. Many devices answer to any. */
  readonly unit: number;
  readonly table: Table;
  /** As on the wire: the first register is 0. */
  readonly register: number;
  /** `bit` for coils and discrete inputs. */
  readonly type: NumberType | 'bit';
  readonly order: ByteOrder;
  readonly scale: number;
}

const TABLES: readonly Table[] = ['holding', 'input', 'coil', 'discrete'];
const ORDERS: Readonly<Record<string, ByteOrder>> = {
  big: 'abcd',
  little: 'dcba',
  abcd: 'abcd',
  cdab: 'cdab',
  badc: 'badc',
  dcba: 'dcba',
};

/** @throws DeviceUrlError */
export function parseModbusUrl(text: string): ModbusUrl {
  const parts = splitUrl(text, HINT);
  if (parts.user) throw new DeviceUrlError('Modbus has no users', parts.user.offset, HINT);
  if (parts.fragment) throw new DeviceUrlError('a URL may not contain #', parts.fragment.offset - 1);
  const host = parseHost(parts.host, HINT);
  const port = parsePort(parts.port, DEFAULT_PORT);
  const { unit, register, form } = parsePath(parts);
  const { table, type, order, scale } = { ...parseQuery(parts, form !== undefined), ...form };
  if (type !== 'bit' && register + REGISTERS[type] > 65_536)
    throw new DeviceUrlError(`a ${type} does not fit behind register ${register}`, parts.path.offset);
  const query = parts.query === undefined ? '' : `?${parts.query.text}`;
  return {
    scheme: 'modbus',
    endpointKey: JSON.stringify([host, port]),
    safeUrl: `modbus://${host}:${port}${parts.path.text}${query}`,
    hostPort: `${host}:${port}`,
    host: host.replace(/^\[(.*)\]$/, '$1'),
    port,
    unit,
    table,
    register,
    type,
    order,
    scale,
  };
}

interface Path {
  readonly unit: number;
  readonly register: number;
  readonly form: Pick<ModbusUrl, 'type' | 'order'> | undefined;
}

function parsePath({ path }: UrlParts): Path {
  const match = /^\/([^/]*)\/([^/]*)(?:\/([^/]+))?$/.exec(path.text);
  if (match === null) throw new DeviceUrlError('the URL names no unit and register', path.offset, HINT);
  const [, unitText = '', registerText = '', formText] = match;
  const registerOffset = path.offset + 2 + unitText.length;
  const unit = wholeNumber(unitText);
  if (unit === undefined || unit > 255)
    throw new DeviceUrlError('the unit is a number from 0 to 255', path.offset + 1, HINT);
  const register = wholeNumber(registerText);
  if (register === undefined || register > 65_535)
    throw new DeviceUrlError(
      'the register is a number from 0 to 65535, or 0x0 to 0xffff',
      registerOffset,
      'of 40001, 30001 and the like leave the first digit out, subtract 1, and name the table: 40101 is 100',
    );
  const form =
    formText === undefined ? undefined : parseForm(formText, registerOffset + registerText.length + 1);
  return { unit, register, form };
}

const KWOLLECTS_TYPES: Readonly<Record<string, string>> = { i: 'int', u: 'uint', f: 'float' };

/**
 * `le_le_f32` as pymodbus takes it, in which Kwollect reads: bytes swapped in each register and the registers too, so
 * the lowest byte comes first. Which of two different orders is that of the bytes is not written down anywhere.
 */
function parseForm(text: string, offset: number): Path['form'] {
  const [, first, second, kind = '', bits = ''] = /^([bl]e)_([bl]e)_([iuf])(16|32|64)$/.exec(text) ?? [];
  const type = `${KWOLLECTS_TYPES[kind]}${bits}`;
  if (first === undefined || !Object.hasOwn(REGISTERS, type))
    throw new DeviceUrlError(
      'this is no form of a number',
      offset,
      'write be_be_f32 or le_le_u16, or ?type=',
    );
  if (first !== second)
    throw new DeviceUrlError(
      'the orders of bytes and of registers differ, and Kwollect does not say which is which',
      offset,
      `write ?type=${type}&order=cdab, or badc`,
    );
  return { type: type as NumberType, order: first === 'be' ? 'abcd' : 'dcba' };
}

function wholeNumber(text: string): number | undefined {
  return /^(?:\d{1,6}|0x[0-9a-f]{1,4})$/i.test(text) ? Number(text) : undefined;
}

/** @param hasForm the path says type and order already */
function parseQuery(
  { query }: UrlParts,
  hasForm: boolean,
): Pick<ModbusUrl, 'table' | 'type' | 'order' | 'scale'> {
  let table: Table = 'holding';
  let type: Parameter | undefined;
  let order: Parameter | undefined;
  let scale = 1;
  for (const parameter of parametersOf(query)) {
    const { name, value, offset } = parameter;
    if (name === 'table') table = oneOf(TABLES, parameter);
    else if (name === 'type') type = parameter;
    else if (name === 'order') order = parameter;
    else if (name === 'scale') {
      scale = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i.test(value.text) ? Number(value.text) : 0;
      if (scale === 0 || !Number.isFinite(scale))
        throw new DeviceUrlError('scale must be a number other than 0', value.offset);
    } else
      throw new DeviceUrlError(
        `unknown parameter ${JSON.stringify(name.slice(0, 40))}`,
        offset,
        'known ones: type, order, table, scale',
      );
  }
  if (hasForm && (type ?? order) !== undefined)
    throw new DeviceUrlError('type and order stand in the path already', (type ?? order)?.offset);
  if (table === 'coil' || table === 'discrete') {
    if (hasForm) throw new DeviceUrlError(`a ${table} is one bit and has no type`, query?.offset);
    const foreign = type ?? order;
    if (foreign) throw new DeviceUrlError(`a ${table} is one bit and has no ${foreign.name}`, foreign.offset);
    return { table, type: 'bit', order: 'abcd', scale };
  }
  return {
    table,
    type: type === undefined ? 'uint16' : oneOf(Object.keys(REGISTERS) as NumberType[], type),
    order: order === undefined ? 'abcd' : (ORDERS[oneOf(Object.keys(ORDERS), order)] as ByteOrder),
    scale,
  };
}

function oneOf<T extends string>(choices: readonly T[], { name, value }: Parameter): T {
  const found = choices.find((choice) => choice === value.text.toLowerCase());
  if (found === undefined)
    throw new DeviceUrlError(`${name} must be one of ${choices.join(', ')}`, value.offset);
  return found;
}
