#!/usr/bin/env node
/** kw, from the bundle in dist/. */
import { main } from '../dist/main.js';

await main(import.meta.url);
