// Makes page.js and worker.js: the messages out of the .proto files, then both bundled for browsers of 2017.
// build.py runs it in build/page/npm, where the pinned packages are: node bundle.mjs SOURCES PROTOS OUTPUT

import { createRequire } from 'node:module';
import { writeFileSync } from 'node:fs';
import path from 'node:path';

const [sources, protos, output] = process.argv.slice(2);
// The packages lie where this is run, not beside this file.
const require = createRequire(path.join(process.cwd(), 'package.json'));
const protobuf = require('protobufjs');
const { build } = require('esbuild');

const root = new protobuf.Root();
root.resolvePath = (_, target) => (protobuf.common.get(target) ? target : path.join(protos, target));
await root.load('fleetnas_protos/v1/fleet.proto');
writeFileSync('messages.json', JSON.stringify(root.toJSON()));

await build({
  entryPoints: ['page', 'worker'].map((name) => path.join(sources, `${name}.js`)),
  outdir: output,
  bundle: true,
  minify: true,
  format: 'iife',
  target: 'es2017',
  legalComments: 'inline',
  nodePaths: [path.join(process.cwd(), 'node_modules')],
  alias: { 'fleetnas-messages': path.join(process.cwd(), 'messages.json') },
  logLevel: 'warning',
});
