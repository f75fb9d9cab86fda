'use strict';
// Runs the integration examples of tests/clients/snippets as they stand: only the port is put in.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const typescript = require('typescript');

const ADDRESS = 'localhost:8009';

function load(name, port) {
  return fs.readFileSync(path.join(__dirname, '..', 'snippets', name), 'utf8').replaceAll(ADDRESS, `localhost:${port}`);
}

// Runs statements that use what `scope` names, and returns the value of `result`, an expression.
function run(name, port, scope, result = 'undefined') {
  return evaluate(`${load(name, port)}\nreturn ${result};`, scope);
}

// The same with each comment as a call of did(comment): what the reader is told to do there.
function runTelling(name, scope, did) {
  const text = load(name, 0);
  const telling = text.replace(/\/\/ (.*)$/gm, (_, comment) => `did(${JSON.stringify(comment)});`);
  assert.notEqual(telling, text);
  evaluate(telling, { ...scope, did });
}

// What a module exports, and `name` of its top level; `modules` holds what it may import.
function importModule(file, port, name, modules, scope = {}) {
  const { outputText } = typescript.transpileModule(load(file, port), {
    compilerOptions: {
      module: typescript.ModuleKind.CommonJS,
      target: typescript.ScriptTarget.ES2022,
      esModuleInterop: true,
      experimentalDecorators: true,
    },
    fileName: file.replace(/\.js$/, '.ts'),
  });
  const exports = {};
  const require = (wanted) => {
    assert.ok(wanted in modules, `${file} imports ${wanted}`);
    return modules[wanted];
  };
  return evaluate(`${outputText}\nreturn typeof ${name} === 'undefined' ? exports : ${name};`, { exports, require, ...scope });
}

function evaluate(text, scope) {
  return new Function(...Object.keys(scope), text)(...Object.values(scope));
}

module.exports = { importModule, run, runTelling };
