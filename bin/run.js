#!/usr/bin/env node
/** kw, from the bundle in dist/. */
import module from 'node:module';

// Node 22 keeps compiled code on disk when asked to; Node 20 cannot.
module.enableCompileCache?.();

const { main } = await import('../dist/cli/main.js');
await main();
