// Validates custom resources, given as JSON on stdin: validate.mjs FOLDER, where
// FOLDER/node_modules/@kubernetes-models holds the schemas of their definitions (npm, MIT).
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

const load = (path) => import(resolve(process.argv[2], 'node_modules/@kubernetes-models', path, 'index.js'));
const models = {
  'keda.sh/v1alpha1': await load('keda/keda.sh/v1alpha1'),
  'monitoring.coreos.com/v1': await load('prometheus-operator/monitoring.coreos.com/v1'),
};

for (const { what, manifest } of JSON.parse(readFileSync(0, 'utf8'))) {
  try {
    const Model = models[manifest.apiVersion]?.[manifest.kind];
    if (!Model) throw new Error(`no schema of ${manifest.apiVersion} ${manifest.kind}`);
    new Model(manifest).validate();
  } catch (error) {
    console.log(`${what}: ${error.message}`);
    process.exitCode = 1;
  }
}
