#!/usr/bin/env node
/**
 * A wattmeter without the device: prints the lines of wattmetre-read. Value of port p in frame i:
 * 100 + p + (i % 50) / 10, so that a whole second from frame 0 on has the mean 102.45 + p.
 *
 *   wattmetre-read.mjs [name=value ...]
 *     format=v1|v3  ports=42  hz=50
 *     start=SECONDS   epoch of frame 0, whole seconds; default: the next whole second
 *     join=1          begin with the frame that is due now, as a device does that was there before
 *     frames=N        print that many at once and end; default: at the pace of the clock, for ever
 *     stop=N          after N frames at pace: end with exit code 3
 *     stall=N         after N frames at pace: stay silent
 *     stderr=TEXT     say that first
 */
const options = new Map(process.argv.slice(2).map((argument) => argument.split(/=(.*)/s).slice(0, 2)));
const number = (name, usual) => Number(options.get(name) ?? usual);
const format = options.get('format') ?? 'v1';
const [ports, hz] = [number('ports', 42), number('hz', 50)];
const start = number('start', Math.floor(Date.now() / 1000) + (options.has('join') ? 0 : 1));
const numbers = Array.from({ length: ports }, (_, port) => port);

function line(frame) {
  const ns = Math.round((frame % hz) * (1e9 / hz));
  const stamp = `${start + Math.floor(frame / hz)}.${String(ns).padStart(9, '0')}`;
  const watts = numbers.map((port) => (100 + port + (frame % 50) / 10).toFixed(1));
  if (format === 'v1') return `${frame % 256},${ports},${stamp},OK,${watts.join(',')}\n`;
  return `${stamp},true,232.3,0.0,0.0,${watts.map((watt) => `${(watt / 232.3).toFixed(2)},${watt}`).join(',')}\n`;
}

const header = numbers.map((port) => `#current${port + 1},#activepow${port + 1}`).join(',');
if (options.has('stderr')) process.stderr.write(`${options.get('stderr')}\n`);
process.stdout.write(format === 'v1' ? '#header\n' : `#timestamp,#frame_is_ok,#U1,#U2,#U3,${header}\n`);
process.stdout.on('error', () => process.exit(0));
if (options.has('frames')) {
  let text = '';
  for (let frame = 0; frame < number('frames'); frame++) text += line(frame);
  process.stdout.write(text);
} else {
  // As a real reader does: whoever started it is gone when its input closes.
  process.stdin.on('end', () => process.exit(0)).resume();
  let frame = options.has('join') ? Math.ceil((Date.now() / 1000 - start) * hz) : 0;
  const timer = setInterval(() => {
    const due = Math.floor((Date.now() / 1000 - start) * hz);
    for (; frame <= due; frame++) {
      if (frame === number('stop', -1)) process.exit(3);
      if (frame === number('stall', -1)) {
        clearInterval(timer);
        return;
      }
      process.stdout.write(line(frame));
    }
  }, 1000 / hz);
}
