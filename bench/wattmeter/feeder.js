/**
 * Many wattmeters in one process, so that the readers cost nothing: v1 lines into one named pipe each.
 *
 *   node feeder.js FOLDER PORTS HZ NAME...
 *
 * Frame k of wattmeter w has the time k / HZ seconds plus 7 w microseconds. Ends with its standard input.
 */
import { execFileSync } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';

const [folder, ports, hz, ...names] = process.argv.slice(2);
const files = names.map((name) => join(folder, name));
execFileSync('mkfifo', files);
// Open for reading too: opening for writing alone waits for a reader.
const pipes = files.map((file) => createWriteStream(file, { flags: 'r+' }));

// What a frame measures does not matter here; some lines to choose from are quicker than new ones.
const measures = Array.from({ length: 97 }, (_, line) =>
  Array.from({ length: Number(ports) }, (_, port) =>
    (100 + port + ((line * 7 + port) % 50) / 8).toFixed(1),
  ).join(','),
);
const period = 1_000_000 / Number(hz);
let frame = Math.ceil((Date.now() * 1000) / period);
process.stdout.write('ready\n');

const timer = setInterval(() => {
  for (; frame * period <= Date.now() * 1000; frame++) {
    for (const [w, pipe] of pipes.entries()) {
      const us = frame * period + 7 * w;
      const stamp = `${Math.floor(us / 1e6)}.${String(us % 1e6).padStart(6, '0')}000`;
      pipe.write(`${frame % 256},${ports},${stamp},OK,${measures[(frame + w) % measures.length]}\n`);
    }
  }
}, 1000 / Number(hz));
process.stdin
  .on('end', () => {
    clearInterval(timer);
    process.exit(0);
  })
  .resume();
