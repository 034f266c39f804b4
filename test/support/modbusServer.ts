/**
 * A Modbus TCP server that is not ours: Debian's python3-pymodbus (with python3-serial-asyncio), with registers as a test wants them.
 *
 *   describe.skipIf(skipUnless('python3-pymodbus', hasPymodbus))(...)
 *   const server = await startModbusServer({ holding: { 100: 0x4248 } });
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { freePort } from './freePort.ts';

/** Debian's own Python: another one in the PATH has none of Debian's packages. */
const PYTHON = '/usr/bin/python3';

export const hasPymodbus = (() => {
  try {
    execFileSync(PYTHON, ['-c', 'import pymodbus.server'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

/** Registers that are not named do not exist. The same for units 1 and 2, of which 2 has 1000 more in each. */
export interface Registers {
  readonly holding?: Readonly<Record<number, number>>;
  readonly input?: Readonly<Record<number, number>>;
  readonly coil?: Readonly<Record<number, number>>;
  readonly discrete?: Readonly<Record<number, number>>;
}

const PROGRAM = `
import asyncio, json, sys
from pymodbus.datastore import ModbusServerContext, ModbusSlaveContext, ModbusSparseDataBlock
from pymodbus.server import StartAsyncTcpServer
registers = json.loads(sys.argv[2])
def block(name, more):
    return ModbusSparseDataBlock({int(a): v + more for a, v in registers.get(name, {}).items()} or {65535: 0})
def unit(more):
    return ModbusSlaveContext(hr=block("holding", more), ir=block("input", more), co=block("coil", 0),
                              di=block("discrete", 0), zero_mode=True)
context = ModbusServerContext(slaves={1: unit(0), 2: unit(1000)}, single=False)
asyncio.run(StartAsyncTcpServer(context, address=("127.0.0.1", int(sys.argv[1])), allow_reuse_address=True))
`;

export interface ModbusServer {
  readonly port: number;
  stop(): Promise<void>;
}

export async function startModbusServer(registers: Registers, port?: number): Promise<ModbusServer> {
  const ownPort = port ?? (await freePort());
  const child = spawn(PYTHON, ['-c', PROGRAM, String(ownPort), JSON.stringify(registers)], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let log = '';
  child.stderr.on('data', (chunk: Buffer) => {
    log = (log + chunk.toString()).slice(-4000);
  });
  const deadline = Date.now() + 15_000;
  while (!(await accepts(ownPort))) {
    if (child.exitCode !== null || Date.now() > deadline) {
      await end(child);
      throw new Error(`no Modbus server:\n${log}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return { port: ownPort, stop: () => end(child) };
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const answer = (accepted: boolean) => {
      socket.destroy();
      resolve(accepted);
    };
    socket.once('connect', () => answer(true)).once('error', () => answer(false));
  });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}
