#!/usr/bin/env node
/** kw, from the sources: builds dist/ first if they changed (half a second; else a few milliseconds). */
import { build } from '../scripts/build.js';

await build();
await import('./run.js');
